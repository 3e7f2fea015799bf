"""Errors of this package."""

from dataclasses import dataclass


@dataclass(eq=False)
class SpanError(ValueError):
    """A text that is no duration, and the position at which that became clear."""

    text: str
    position: int

    def __str__(self):
        return f"{self.text!r} is not a duration (see character {self.position})"
