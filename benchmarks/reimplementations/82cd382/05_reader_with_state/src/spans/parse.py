"""Reading durations such as `1h 30m`."""

from spans.errors import SpanError

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class _Reader:
    """Reads a text from left to right."""

    def __init__(self, text):
        self._text, self.at = text, 0

    @property
    def done(self):
        return self.at == len(self._text)

    def take(self, wanted):
        start = self.at
        while not self.done and wanted(self._text[self.at]):
            self.at += 1
        return self._text[start : self.at]

    def number(self):
        digits = self.take(str.isdecimal)
        rest = self._text[self.at : self.at + 2]
        if digits and rest[:1] == "." and rest[1:].isdecimal():
            self.at += 1
            digits += "." + self.take(str.isdecimal)
        return digits

    def fail(self, at):
        raise SpanError(self._text, at, self._text[at : at + 1] or None)


def _letter(character):
    return character.isascii() and character.islower()


def parse(text):
    """Seconds in a duration such as `1h 30m`. Raises SpanError."""
    reader = _Reader(text)
    if not text.strip():
        reader.fail(0)
    total = 0
    while not reader.done:
        token = reader.at
        reader.take(str.isspace)
        number = reader.number()
        reader.take(str.isspace)
        at = reader.at
        unit = reader.take(_letter)
        if not number or not unit:
            reader.fail(token)
        if unit not in SECONDS:
            reader.fail(at)
        total += float(number) * SECONDS[unit]
        reader.take(str.isspace)
    return int(total) if total == int(total) else total
