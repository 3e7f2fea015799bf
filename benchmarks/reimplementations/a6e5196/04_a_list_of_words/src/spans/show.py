"""Writing durations the way people read them."""

from bisect import bisect_right

from spans.units import SECONDS

_UNITS = sorted((size, unit) for unit, size in SECONDS.items())
_SIZES = [size for size, _ in _UNITS]


def show(seconds):
    """A duration such as `1h 30m` for a number of seconds."""
    words = ["-"] if seconds < 0 else []
    left = abs(seconds)
    while left >= 1:
        size, unit = _UNITS[bisect_right(_SIZES, left) - 1]
        words += [str(int(left // size)), unit, " "]
        left %= size
    return "".join(words).rstrip(" ") if len(words) > 1 else "0s"
