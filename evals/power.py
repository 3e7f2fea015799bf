"""Power of the sign-flip test over repositories, by simulation.

With few repositories the test's p-values are coarse (with six, only all six in one direction are significant), so that
formulas for normal means overstate its power. Here the test itself is run on simulated differences: each repository's
mean difference is normal about the true effect; the standard deviation is not known but estimated, so that each
simulation draws it from its distribution given the estimate (the expected power of Spiegelhalter, Abrams and Myles,
Bayesian Approaches to Clinical Trials, 2004, 6.5; with the usual prior it equals the frequentist average). numpy is
imported on use.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

POWER = 0.8
SIMULATIONS = 2_000
SIGNS = 2_000
MOST_GROUPS = 300
"""Repositories beyond which no number is named as needed."""
_EXACT = 11
"""Groups up to which all signs are enumerated."""
_WIDEST = 64.0
_CLOSE = 1e-9


def deviation(groups: Sequence[Sequence[float]]) -> float:
    """The standard deviation of a repository's mean difference about the true one, estimated from at least two groups
    of item differences; larger repositories count more, in proportion to their items."""
    counts = [len(group) for group in groups]
    mean = math.fsum(value for group in groups for value in group) / sum(counts)
    squares = math.fsum((math.fsum(group) - mean * len(group)) ** 2 for group in groups)
    return math.sqrt(squares / math.fsum(n * n for n in counts) * len(groups) / (len(groups) - 1))


def power(effect: float, spread: float, counts: Sequence[int], alpha: float, freedom: int | None = None) -> float:
    """The probability that a true difference is found significant, in its direction, at two-sided `alpha`.

    `spread` is the deviation of a repository's mean difference, `counts` the items of each repository, `freedom` the
    degrees of freedom of the spread (unset: repositories less one).
    """
    if spread <= _CLOSE:
        return float(effect > _CLOSE and 2.0 ** (1 - len(counts)) <= alpha)
    return _power(effect / spread, tuple(counts), alpha, len(counts) - 1 if freedom is None else freedom)


def least_effect(counts: Sequence[int], alpha: float) -> float:
    """The smallest true difference, in units of the spread, that is found with 80% power; infinite if none is."""
    return _least_effect(tuple(counts), alpha)


def groups_needed(effect: float, spread: float, freedom: int, alpha: float) -> int | None:
    """The fewest repositories of equal size by which a true difference is found with 80% power; None if more than 300,
    or if the difference is not positive."""
    if effect <= _CLOSE:
        return None
    low = math.ceil(1 + math.log2(1 / alpha))
    if spread <= _CLOSE:
        return low
    high = low
    while high <= MOST_GROUPS and _equal(effect / spread, high, alpha, freedom) < POWER:
        low, high = high + 1, high * 2
    high = min(high, MOST_GROUPS)
    if _equal(effect / spread, high, alpha, freedom) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        if _equal(effect / spread, middle, alpha, freedom) >= POWER:
            high = middle
        else:
            low = middle + 1
    return high


def _equal(ratio: float, groups: int, alpha: float, freedom: int) -> float:
    return _power(ratio, (1,) * groups, alpha, freedom)


@lru_cache(maxsize=512)
def _least_effect(counts: tuple[int, ...], alpha: float) -> float:
    freedom = len(counts) - 1
    low, high = 0.0, 1.0
    while _power(high, counts, alpha, freedom) < POWER:
        low, high = high, high * 2
        if high > _WIDEST:
            return math.inf
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, counts, alpha, freedom) >= POWER else (middle, high)
    return high


@lru_cache(maxsize=4096)
def _power(ratio: float, counts: tuple[int, ...], alpha: float, freedom: int) -> float:
    """The share of simulated experiments that are significant; effect and spread enter by their ratio only."""
    import numpy as np

    chance = np.random.default_rng(len(counts))  # the same draws for every effect: power then rises with it
    noise = chance.standard_normal((SIMULATIONS, len(counts)))
    scale = np.sqrt(freedom / chance.chisquare(freedom, (SIMULATIONS, 1)))
    sums = (ratio + scale * noise) * np.array(counts, dtype=float)
    return float(np.mean((_sign_flip(sums) <= alpha + _CLOSE) & (sums.sum(1) > 0)))


def _sign_flip(sums: "Array") -> "Array":
    """The two-sided p of the sign-flip test for each row."""
    import numpy as np

    seen = np.abs(sums.sum(1, keepdims=True)) - _CLOSE
    groups = sums.shape[1]
    if groups <= _EXACT:
        numbers = np.arange(2 ** (groups - 1))[:, None]  # the last sign is fixed: a flip of all changes nothing
        signs = 1.0 - 2.0 * ((numbers >> np.arange(groups)) & 1)
        exact: Array = np.mean(np.abs(sums @ signs.T) >= seen, axis=1)
        return exact
    signs = np.random.default_rng(groups).integers(0, 2, (SIGNS, groups)) * 2.0 - 1.0
    drawn: Array = (1 + np.sum(np.abs(sums @ signs.T) >= seen, axis=1)) / (1 + SIGNS)
    return drawn
