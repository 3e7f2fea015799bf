"""A duration as a value."""

from dataclasses import dataclass

from spans.parse import parse
from spans.show import show


@dataclass(frozen=True, order=True)
class Span:
    """A number of seconds that can be added, compared, ordered and shown."""

    seconds: float

    @classmethod
    def of(cls, text):
        """The span that a text such as `1h 30m` means."""
        return cls(parse(text))

    def __add__(self, other):
        if not isinstance(other, Span):
            return NotImplemented
        return Span(self.seconds + other.seconds)

    def __str__(self):
        return show(self.seconds)

    @property
    def minutes(self):
        """Whole and broken minutes."""
        return self.seconds / 60
