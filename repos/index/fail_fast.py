"""The fail-fast score of code: eight measures of its error handling, weighted to 100.

Each measure is the share of its chances that are good (of a density: its share of a full density), between 0 and 1.
Before anything is known it is taken for 1/2: the prior is Beta(2, 2), which counts as four chances of which two are
good; of a density, as forty statements with half of the full density. Code with few chances scores near 50 so.
"""

from typing import NamedTuple

from repos.index.error_handling import DENSITIES, Handling, Measure

WEIGHTS = {
    Measure.BARE: 20,
    Measure.BLIND: 15,
    Measure.SILENT: 15,
    Measure.SPECIFIC: 15,
    Measure.KEYS: 10,
    Measure.ASSERTS: 10,
    Measure.RAISES: 10,
    Measure.CHAINING: 5,
}
"""Points of each measure, 100 in all."""
STRONG, MIXED = 75.0, 50.0
"""Scores from which code is a strong candidate for a corpus, and a mixed one."""


FULL = {Measure.ASSERTS: 0.015, Measure.RAISES: 0.085}
"""Densities by statement that earn all points: the ninth decile of the files of Python 3.11's standard library that
have a hundred statements in functions or more."""
_CHANCES, _STATEMENTS = 4, 40
"""What the prior counts as."""


class Measured(NamedTuple):
    """A measure of some code: good forms among chances, its value (0 to 1), and the points that this gives."""

    measure: Measure
    good: int
    chances: int
    value: float

    @property
    def points(self) -> float:
        """Points, of those that `WEIGHTS` has for it."""
        return WEIGHTS[self.measure] * self.value


def measured(handling: Handling) -> tuple[Measured, ...]:
    """The measures of some code, in the order of `Measure`."""
    return tuple(Measured(each, handling.good[each], handling.chances[each], value(each, handling)) for each in Measure)


def value(measure: Measure, handling: Handling) -> float:
    """A measure's value, between 0 and 1."""
    good, chances = handling.good[measure], handling.chances[measure]
    if measure in DENSITIES:
        return min(1.0, (good / FULL[measure] + _STATEMENTS / 2) / (chances + _STATEMENTS))
    return (good + _CHANCES / 2) / (chances + _CHANCES)


def score(handling: Handling) -> float:
    """The score of some code, 0 to 100. Adding a bare `except:` that raises nothing never raises the score."""
    return sum(each.points for each in measured(handling))
