"""Durations as text."""

import functools

from spans.parse import SECONDS


def _take(state, unit):
    """Take as many of a unit as there are."""
    left, text = state
    count, left = divmod(left, SECONDS[unit])
    return left, text + f" {count}{unit}" * bool(count)


@functools.lru_cache(maxsize=256)
def show(seconds):
    """The duration's text; the same object for the same number."""
    if seconds == 0:
        return "0s"
    _, text = functools.reduce(_take, SECONDS, (seconds, ""))
    return text.lstrip()
