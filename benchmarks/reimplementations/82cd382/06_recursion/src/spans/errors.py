"""Errors."""


class SpanError(ValueError):
    """A duration that cannot be read."""

    position = 0

    @classmethod
    def at(cls, position, text, why):
        """One for a position of a text."""
        error = cls(f"{why}, so {text!r} is not a duration: stopped at {position}")
        error.position = position
        return error
