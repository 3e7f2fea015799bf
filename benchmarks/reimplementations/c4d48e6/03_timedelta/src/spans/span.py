"""Spans as the standard library has them, with our way of reading and writing."""

from datetime import timedelta

from spans.parse import parse
from spans.show import show


class Span(timedelta):
    """A timedelta that is read and shown as people write it."""

    def __new__(cls, seconds):
        return super().__new__(cls, seconds=seconds)

    @classmethod
    def of(cls, text):
        return cls(parse(text))

    def __add__(self, other):
        result = super().__add__(other)
        if result is NotImplemented:
            return result
        return Span(result.total_seconds())

    def __str__(self):
        total = self.total_seconds()
        return show(int(total) if total.is_integer() else total)
