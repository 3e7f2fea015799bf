"""Reading durations such as `1h 30m`."""

import re
from decimal import Decimal
from typing import NamedTuple

SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
WHOLE = re.compile(rf"(?:{TOKEN.pattern})*")


class Part(NamedTuple):
    """A number with its unit."""

    number: Decimal
    unit: str

    @property
    def seconds(self):
        """What it comes to."""
        return self.number * SECONDS[self.unit]


def parse(text):
    """Seconds in a duration such as `1h 30m`; a Decimal where they are broken."""
    if WHOLE.fullmatch(text) is None:
        raise ValueError(f"not a duration: {text!r}")
    parts = [Part(Decimal(number), unit) for number, unit in TOKEN.findall(text)]
    total = sum((part.seconds for part in parts), Decimal(0))
    return int(total) if total == total.to_integral_value() else total
