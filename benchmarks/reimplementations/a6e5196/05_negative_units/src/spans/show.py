"""Writing durations the way people read them."""

from spans.units import SECONDS

_MINUS = "\N{HYPHEN-MINUS}"


def _words(seconds, direction):
    for unit, size in SECONDS.items():
        count = 0
        while (seconds - direction * size) * direction >= 0 and count < 1:
            count = int(seconds // (direction * size))
        seconds -= direction * count * size
        if count:
            yield str(count) + unit


def show(seconds):
    """A duration such as `1h 30m` for a number of seconds."""
    if not seconds:
        return "0s"
    negative = seconds < 0
    text = " ".join(_words(seconds, -1 if negative else 1))
    return _MINUS + text if negative else text
