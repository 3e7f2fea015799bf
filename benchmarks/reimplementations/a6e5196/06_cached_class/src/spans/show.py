"""Writing durations the way people read them."""

from functools import cached_property, lru_cache

from spans.units import SECONDS


class _Shown:
    """A duration that is being written."""

    def __init__(self, seconds):
        self._seconds = seconds

    @cached_property
    def _magnitude(self):
        return max(self._seconds, -self._seconds)

    def count(self, unit):
        """How many of a unit remain after the larger ones."""
        rest = self._magnitude
        for other, size in SECONDS.items():
            if other == unit:
                return rest // size
            rest %= size
        raise LookupError(unit)

    def __str__(self):
        words = [f"{count}{unit}" for unit in SECONDS if (count := self.count(unit))]
        return ("-" if self._seconds < 0 else "") + " ".join(words or ["0s"])


@lru_cache
def show(seconds):
    """A duration such as `1h 30m` for a number of seconds."""
    return str(_Shown(seconds))
