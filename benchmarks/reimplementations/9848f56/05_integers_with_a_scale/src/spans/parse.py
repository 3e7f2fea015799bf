"""Reading durations such as `1h 30m`."""

import re

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
TOKEN = re.compile(r"\s*(?P<whole>\d+)(?:\.(?P<broken>\d+))?\s*(?P<unit>[a-z]+)\s*")


def parse(text):
    """Seconds in a duration such as `1h 30m`, exact as long as integers are."""
    position, scale, total = 0, 1, 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"not a duration: {text!r}")
        broken = match["broken"] or ""
        more = 10 ** len(broken)
        total = total * more + int(match["whole"] + broken) * SECONDS[match["unit"]] * scale
        scale *= more
        position = match.end()
    whole, rest = divmod(total, scale)
    return whole + rest / scale if rest else whole
