"""Spans of time, kept as counts of units."""

from spans.parse import parse
from spans.show import show
from spans.units import SECONDS


def _counts(seconds):
    for size in SECONDS.values():
        count, seconds = divmod(seconds, size)
        yield count
    yield seconds


class Span:
    """A span of time: so many days, hours, minutes, seconds, and a rest below one."""

    def __init__(self, seconds=0):
        self.counts = tuple(_counts(seconds))
        self._text = None

    def __len__(self):
        return len(self.counts)

    @property
    def total(self):
        """In seconds."""
        return sum(count * size for count, size in zip(self.counts, SECONDS.values())) + self.counts[-1]

    @classmethod
    def of(cls, text):
        made = cls(parse(text))
        return made

    def __add__(self, other):
        if not isinstance(other, Span):
            raise TypeError("only spans can be added to spans")
        return Span(self.total + other.total)

    def __eq__(self, other):
        if not isinstance(other, Span):
            return False
        return all(mine == theirs for mine, theirs in zip(self.counts, other.counts))

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash(self.counts)

    def __str__(self):
        if self._text is None:
            self._text = show(self.total)
        return self._text
