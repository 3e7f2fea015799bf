"""Spans of time."""

from spans.parse import parse
from spans.show import show


class Span(float):
    """Seconds, as a number that knows what it is."""

    @classmethod
    def of(cls, text):
        return cls(parse(text))

    def __add__(self, other):
        if not isinstance(other, Span):
            raise TypeError(f"a span and a {type(other).__name__} do not add up")
        return Span(float.__add__(self, other))

    __radd__ = __add__

    def __str__(self):
        return show(int(self) if self.is_integer() else float(self))

    def __repr__(self):
        return f"Span({float(self)!r})"
