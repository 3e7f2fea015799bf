"""Reading durations such as `1h 30m`."""

import re
from fractions import Fraction

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def parse(text):
    """Seconds in a duration such as `1h 30m`: an integer where it is whole, else a float."""
    position = 0
    total = Fraction(0)
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"not a duration: {text!r}")
        number, unit = match.groups()
        total += Fraction(number) * SECONDS[unit]
        position = match.end()
    return total.numerator if total.denominator == 1 else float(total)
