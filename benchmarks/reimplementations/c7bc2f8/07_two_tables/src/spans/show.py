"""Writing durations the way people read them."""

from spans.units import LARGEST_FIRST, SECONDS


def show(seconds):
    """A duration such as `1h 30m` for a number of seconds."""
    counts = []
    for unit in LARGEST_FIRST:
        whole, seconds = divmod(seconds, SECONDS[unit])
        counts.append((whole, unit))
    written = [f"{count}{unit}" for count, unit in counts if count]
    return " ".join(written if written else ["0s"])
