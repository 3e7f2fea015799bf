"""Writing durations the way people read them."""

from spans.units import SECONDS


def show(seconds):
    """A duration such as `1w 2d` for a number of seconds."""
    text = ""
    for unit in SECONDS:
        count = seconds // SECONDS[unit]
        if count:
            seconds -= count * SECONDS[unit]
            text = f"{text} {count}{unit}" if text else f"{count}{unit}"
    return text or "0s"
