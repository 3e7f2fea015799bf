"""Spans of time."""

from collections import namedtuple

from spans.parse import parse
from spans.show import show


class Span(namedtuple("_Span", "seconds")):
    """A span of time, which unpacks to its seconds."""

    __slots__ = ()

    @classmethod
    def of(cls, text):
        return cls(parse(text))

    def __add__(self, other):
        if type(other) is not type(self):
            raise TypeError(f"cannot add {type(other).__name__} to a span")
        return self._replace(seconds=self.seconds + other.seconds)

    __radd__ = __mul__ = __rmul__ = None

    def __str__(self):
        return show(self.seconds)
