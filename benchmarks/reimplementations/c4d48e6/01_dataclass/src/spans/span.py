"""Spans of time."""

from dataclasses import dataclass

from spans.parse import parse
from spans.show import show


@dataclass(frozen=True)
class Span:
    """A span of time."""

    seconds: float

    @staticmethod
    def of(text: str) -> "Span":
        return Span(parse(text))

    def __add__(self, other: "Span") -> "Span":
        if isinstance(other, Span):
            return Span(self.seconds + other.seconds)
        return NotImplemented

    def __str__(self) -> str:
        return show(self.seconds)
