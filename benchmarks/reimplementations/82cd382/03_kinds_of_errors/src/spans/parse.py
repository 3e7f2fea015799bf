"""Reading durations such as `1h 30m`."""

import re

from spans.errors import EmptyError, SpanError, UnknownUnitError

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def _scan(text):
    end = 0
    for match in TOKEN.finditer(text):
        if match.start() != end:
            break
        if match[2] not in SECONDS:
            raise UnknownUnitError(text, match.start(2))
        end = match.end()
        yield float(match[1]), SECONDS[match[2]]
    if end < len(text):
        raise SpanError(text, end)


def parse(text):
    """Seconds in a duration such as `1h 30m`. Raises SpanError."""
    if not text.strip():
        raise EmptyError(text, 0)
    total = sum(number * size for number, size in _scan(text))
    return int(total) if total == int(total) else total
