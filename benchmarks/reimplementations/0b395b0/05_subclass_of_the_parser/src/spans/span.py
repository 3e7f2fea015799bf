"""A duration as a value."""

from spans.parse import parse
from spans.show import show


class Span:
    """A number of seconds that can be added, compared and shown."""

    def __init__(self, seconds):
        self.seconds = seconds

    @classmethod
    def of(cls, text):
        """The span that a text such as `1h 30m` means."""
        return cls(parse(text))

    def __add__(self, other):
        if not isinstance(other, Span):
            return NotImplemented
        return Span(self.seconds + other.seconds)

    def __eq__(self, other):
        return isinstance(other, Span) and self.seconds == other.seconds

    def __hash__(self):
        return hash(self.seconds)

    def __lt__(self, other):
        return self.__compare(other, lambda mine, theirs: mine < theirs)

    def __gt__(self, other):
        return self.__compare(other, lambda mine, theirs: mine > theirs)

    def __compare(self, other, how):
        try:
            return how(self.seconds, other.seconds)
        except AttributeError:
            return NotImplemented

    def __str__(self):
        return show(self.seconds)

    @property
    def minutes(self):
        """Whole and broken minutes."""
        return self.seconds / 60
