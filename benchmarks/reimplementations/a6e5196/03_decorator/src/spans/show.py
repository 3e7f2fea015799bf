"""Writing durations the way people read them."""

import functools

from spans.units import SECONDS


def signed(function):
    """Make a function of numbers that are not negative write the sign of others."""

    @functools.wraps(function)
    def wrapper(seconds):
        text = function(abs(seconds))
        return text if seconds >= 0 else f"-{text}"

    return wrapper


@signed
def show(seconds):
    """A duration such as `1h 30m` for a number of seconds."""
    parts = []
    rest = seconds
    for unit, size in SECONDS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"
