"""Formatting of durations."""

from spans.parse import SECONDS

_UNITS = tuple(sorted(SECONDS, key=SECONDS.get, reverse=True))


def _pieces(amount, units):
    """The words for an amount, by the units that are left."""
    if not units or not amount:
        return []
    head, *tail = units
    whole = amount // SECONDS[head]
    rest = _pieces(amount - whole * SECONDS[head], tail)
    return [str(whole) + head, *rest] if whole else rest


def show(seconds):
    """The text of a number of seconds, `0s` for none."""
    words = _pieces(seconds, _UNITS)
    if not words:
        return "0s"
    return " ".join(words)
