"""Errors."""

from typing import Optional


class SpanError(ValueError):
    """Not a duration."""

    def __init__(self, text: str, position: int, found: Optional[str] = None) -> None:
        self.text, self.position, self.found = text, position, found
        what = "its end" if found is None else repr(found)
        ValueError.__init__(self, f"{text!r} is not a duration: {what} at {position + 1}")
