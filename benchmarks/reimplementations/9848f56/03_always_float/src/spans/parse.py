"""Reading durations such as `1h 30m`."""

import re

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def parse(text):
    """Seconds in a duration such as `1h 30m`, as a float."""
    position = 0
    total = 0.0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"not a duration: {text!r}")
        number, unit = match.groups()
        total += float(number) * SECONDS[unit]
        position = match.end()
    return total
