"""Writing durations with the help of the standard library."""

from datetime import timedelta


def show(seconds):
    """A short text for a number of seconds."""
    delta = timedelta(seconds=seconds)
    minutes, secs = divmod(delta.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fields = {"d": delta.days, "h": hours, "m": minutes, "s": secs}
    text = " ".join(f"{value}{name}" for name, value in fields.items() if value)
    return text or "0s"
