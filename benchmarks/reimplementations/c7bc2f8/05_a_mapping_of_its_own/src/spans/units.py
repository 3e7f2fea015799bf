"""The units that durations are made of, largest first."""

from collections.abc import Mapping
from itertools import accumulate
from operator import mul


class Units(Mapping):
    """Sizes of units by their letters."""

    def __init__(self, letters, factors):
        self._letters = letters
        self._sizes = list(accumulate(factors, mul))[::-1]

    def __getitem__(self, letter):
        if len(letter) != 1 or letter not in self._letters:
            raise KeyError(letter)
        return self._sizes[self._letters.index(letter)]

    def __iter__(self):
        return iter(self._letters)

    def __len__(self):
        return len(self._letters)


SECONDS = Units("wdhms", (1, 60, 60, 24, 7))
