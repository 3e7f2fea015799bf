"""Writing durations the way people read them."""

import math

from spans.units import SECONDS


def show(seconds):
    """A duration such as `1h 30m`; of a negative one every count is negative, but one sign is written."""
    counts = {}
    for unit, size in SECONDS.items():
        counts[unit] = int(math.copysign(abs(seconds) // size, seconds))
        seconds = math.fmod(seconds, size)
    text = " ".join(f"{abs(count)}{unit}" for unit, count in counts.items() if count)
    return "-" * any(count < 0 for count in counts.values()) + (text or "0s")
