"""Spans of time."""

from fractions import Fraction

from spans import parse as _parse
from spans import show as _show


class Span:
    """An immutable span of time, exact."""

    __slots__ = ("__exact",)

    def __init__(self, seconds):
        object.__setattr__(self, "_Span__exact", Fraction(seconds))

    def __setattr__(self, name, value):
        raise AttributeError(f"a span cannot be changed: {name}")

    @property
    def seconds(self):
        """The seconds, whole ones as an integer."""
        exact = self.__exact
        return int(exact) if exact.denominator == 1 else float(exact)

    @classmethod
    def of(cls, text):
        """Read a span."""
        return cls(_parse(text))

    def __add__(self, other):
        return Span(self.__exact + other.__exact) if isinstance(other, Span) else NotImplemented

    def __eq__(self, other):
        return self.__exact == other.__exact if isinstance(other, Span) else NotImplemented

    def __hash__(self):
        return hash((Span, self.__exact))

    def __repr__(self):
        return f"Span.of({str(self)!r})"

    def __str__(self):
        return _show(self.seconds)
