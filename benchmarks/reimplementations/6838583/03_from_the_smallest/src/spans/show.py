"""Writing durations, beginning with the seconds."""

STEPS = (("s", 60), ("m", 60), ("h", 24))


def show(seconds):
    """Text for a whole number of seconds."""
    words = []
    for unit, base in STEPS:
        seconds, digit = divmod(seconds, base)
        if digit:
            words.insert(0, f"{digit}{unit}")
    if seconds:
        words.insert(0, f"{seconds}d")
    return " ".join(words) if words else "0s"
