"""A duration as a value."""

from operator import attrgetter
from typing import NamedTuple

from spans.parse import parse
from spans.show import show


class _Fields(NamedTuple):
    seconds: float


class Span(_Fields):
    """A number of seconds; as a tuple it can be compared, ordered and hashed."""

    __slots__ = ()

    @classmethod
    def of(cls, text):
        """The span that a text such as `1h 30m` means."""
        return cls(parse(text))

    def __add__(self, other):
        if not isinstance(other, Span):
            raise TypeError(f"cannot add {other!r} to {self}")
        return Span(sum(map(attrgetter("seconds"), (self, other))))

    def __str__(self):
        return show(self.seconds)

    @property
    def minutes(self):
        """Whole and broken minutes."""
        return self.seconds / 60
