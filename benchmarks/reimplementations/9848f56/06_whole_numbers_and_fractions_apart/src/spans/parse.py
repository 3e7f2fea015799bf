"""Reading durations such as `1h 30m`."""

import math
import re

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def _number(text):
    return float(text) if "." in text else int(text)


def parse(text):
    """Seconds in a duration such as `1h 30m`, to the microsecond."""
    position = 0
    amounts = []
    while position < len(text):
        if (match := TOKEN.match(text, position)) is None:
            raise ValueError(f"not a duration: {text!r}; it stops making sense at character {position}")
        number, unit = match.groups()
        amounts.append(_number(number) * SECONDS[unit])
        position = match.end()
    total = round(math.fsum(amounts), 6)
    return int(total) if total % 1 == 0 else total
