"""The error of this package."""


class SpanError(ValueError):
    """What was to be read, and where that failed."""

    def __init__(self, message, *, position, source=""):
        super().__init__(message)
        self.position = position
        self.source = source

    def __repr__(self):
        return f"<SpanError at {self.position}>"
