"""Durations, formatted."""

from spans.parse import SECONDS


def _split(seconds):
    """Pairs of a count and a unit, largest first, nothing left out."""
    for unit, size in sorted(SECONDS.items(), key=lambda item: -item[1]):
        yield seconds // size, unit
        seconds %= size


def show(seconds):
    """Format seconds as in `1d 2h`; raises TypeError for what is no number."""
    if isinstance(seconds, (str, bytes)):
        raise TypeError(f"a number of seconds is needed, not {seconds!r}")
    return " ".join("%d%s" % (count, unit) for count, unit in _split(seconds) if count) or "0s"
