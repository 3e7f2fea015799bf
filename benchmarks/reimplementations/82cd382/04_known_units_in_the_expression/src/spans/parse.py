"""Reading durations such as `1h 30m`."""

import re

from spans.errors import SpanError

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}

NAMES = "|".join(SECONDS)
TOKEN = re.compile(rf"\s*(\d+(?:\.\d+)?)\s*({NAMES})(?![a-z])\s*")
WRONG_UNIT = re.compile(r"\s*\d+(?:\.\d+)?\s*(?=[a-z])")


def _fail(text, position):
    """Raise the error for a text that cannot be read beyond a position."""
    before = WRONG_UNIT.match(text, position)
    where = position if before is None else before.end()
    raise SpanError(f"not a duration: {text!r}", position=where, source=text)


def parse(text):
    """Seconds in a duration such as `1h 30m`. Raises SpanError."""
    if not text.strip():
        raise SpanError("not a duration: the text is empty", position=0, source=text)
    total = position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            _fail(text, position)
        total += float(match[1]) * SECONDS[match[2]]
        position = match.end()
    return int(total) if total == int(total) else total
