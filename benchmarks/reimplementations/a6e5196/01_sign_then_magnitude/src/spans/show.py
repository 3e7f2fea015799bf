"""Writing durations the way people read them."""

from spans.units import SECONDS


def show(seconds):
    """A duration such as `1h 30m`, `-5m` for a number of seconds."""
    sign, rest = ("-", -seconds) if seconds < 0 else ("", seconds)
    parts = []
    for unit, size in SECONDS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + (" ".join(parts) or "0s")
