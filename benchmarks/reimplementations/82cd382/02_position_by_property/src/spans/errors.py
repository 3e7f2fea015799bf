"""Errors."""


class SpanError(ValueError):
    """Reading stopped; `position` is where."""

    __slots__ = ("_read",)

    def __init__(self, read, rest):
        super().__init__(f"not a duration: read {read!r}, but not {rest!r}")
        self._read = read

    @property
    def position(self):
        """How many characters were read."""
        return len(self._read)
