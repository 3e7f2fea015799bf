"""Reading durations such as `1h 30m`."""

import re

from spans.errors import SpanError

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}

NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)\s*")
UNIT = re.compile(r"([a-z]+)\s*")


def parse(text):
    """Seconds in a duration such as `1h 30m`. Raises SpanError."""
    position, total = 0, 0
    if text.strip() == "":
        raise SpanError(text, position)
    while position < len(text):
        number = NUMBER.match(text, position)
        unit = UNIT.match(text, number.end()) if number else None
        if unit is None:
            raise SpanError(text, position)
        if (size := SECONDS.get(unit[1])) is None:
            raise SpanError(text, unit.start())
        total += float(number[1]) * size
        position = unit.end()
    return int(total) if total == int(total) else total
