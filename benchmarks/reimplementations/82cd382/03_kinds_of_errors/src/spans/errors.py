"""What can go wrong, by kind."""


class SpanError(ValueError):
    """A text cannot be read as a duration."""

    problem = "cannot be read"

    def __init__(self, text, position):
        super().__init__(text, position)
        self.position = position

    def __str__(self):
        return f"not a duration: {self.args[0]!r} {self.problem} at {self.position}"


class EmptyError(SpanError):
    problem = "says nothing"


class UnknownUnitError(SpanError):
    problem = "has an unknown unit"
