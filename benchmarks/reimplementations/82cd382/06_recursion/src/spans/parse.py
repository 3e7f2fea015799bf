"""Reading durations such as `1h 30m`."""

import re

from spans.errors import SpanError

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}

TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.ASCII)


def _from(text, position):
    """Seconds in the rest of a text."""
    if position == len(text):
        return 0
    match = TOKEN.match(text, position)
    if not match:
        raise SpanError.at(position, text, "a number and a unit belong here")
    number, unit = match.groups()
    if unit not in SECONDS:
        raise SpanError.at(match.start(2), text, f"nobody knows how long a {unit!r} is")
    return float(number) * SECONDS[unit] + _from(text, match.end())


def parse(text):
    """Seconds in a duration such as `1h 30m`. Raises SpanError."""
    if not text.strip():
        raise SpanError("not a duration: there is nothing")
    total = _from(text, 0)
    whole = int(total)
    return whole if whole == total else total
