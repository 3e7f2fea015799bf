"""The units that durations are made of, largest first."""

from types import MappingProxyType


def _sizes():
    """Units from the smallest to the largest, each so many times the one before."""
    size = 1
    for unit, times in (("s", 60), ("m", 60), ("h", 24), ("d", 7), ("w", 0)):
        yield unit, size
        size *= times


SECONDS = MappingProxyType(dict(reversed(list(_sizes()))))
