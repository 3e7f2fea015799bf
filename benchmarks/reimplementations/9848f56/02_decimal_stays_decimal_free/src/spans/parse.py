"""Reading durations such as `1h 30m`."""

import re
from decimal import Decimal

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def _tokens(text):
    """Numbers and units; raises ValueError where there are none."""
    position = 0
    while position != len(text):
        found = TOKEN.match(text, position)
        if not found:
            raise ValueError(f"this is not a duration: {text}")
        yield Decimal(found[1]), found[2]
        position = found.end()


def parse(text):
    """Seconds in a duration such as `1h 30m`."""
    total = sum(number * SECONDS[unit] for number, unit in _tokens(text))
    return int(total) if total == total // 1 else float(total)
