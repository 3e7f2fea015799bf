"""A duration as a value."""

from spans.model import Value
from spans.parse import parse
from spans.show import show


class Span(Value):
    """A duration, in thousandths of a second if it is broken."""

    def __init__(self, seconds):
        self.millis = round(seconds * 1000)

    def _key(self):
        return self.millis

    def _seconds(self):
        whole, rest = divmod(self.millis, 1000)
        return whole + rest / 1000 if rest else whole

    @classmethod
    def of(cls, text):
        """Read a duration."""
        return cls(parse(text))

    def __add__(self, other):
        try:
            total = self.millis + other.millis
        except AttributeError:
            return NotImplemented
        new = type(self).__new__(type(self))
        new.millis = total
        return new

    def __str__(self):
        return show(self._seconds())
