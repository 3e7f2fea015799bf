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
SIGNS = 500
SIMULATED = 20
"""Repositories of equal size beyond which the sum is taken for normal."""
MOST_GROUPS = 300
"""Repositories beyond which no number is named as needed."""
_EXACT = 9
"""Groups up to which all signs are enumerated."""
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


def _power(ratio: float, counts: tuple[int, ...], alpha: float, freedom: int) -> float:
    import numpy as np

    if ratio <= 0:
        return 0.0
    if len(counts) > SIMULATED and len(set(counts)) == 1:
        return _many(ratio, len(counts), alpha, freedom)
    return float(np.interp(math.log(ratio), np.log(_ratios()), _curve(counts, alpha, freedom)))


def least_effect(counts: Sequence[int], alpha: float) -> float:
    """The smallest true difference, in units of the spread, that is found with 80% power; infinite if none is."""
    import numpy as np

    curve = _curve(tuple(counts), alpha, len(counts) - 1)
    reached = np.flatnonzero(curve >= POWER)
    if not reached.size:
        return math.inf
    last = int(reached[0])
    logs = np.log(_ratios())
    if last == 0 or curve[last] <= curve[last - 1]:
        return float(_ratios()[last])
    part = (POWER - curve[last - 1]) / (curve[last] - curve[last - 1])
    return math.exp(logs[last - 1] + part * (logs[last] - logs[last - 1]))


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
def _curve(counts: tuple[int, ...], alpha: float, freedom: int) -> "Array":
    """The power at each of `_ratios()`, by simulation; it never falls."""
    import numpy as np

    chance = np.random.default_rng(len(counts))  # the same draws for every ratio
    noise = chance.standard_normal((SIMULATIONS, len(counts)))
    scale = np.sqrt(freedom / chance.chisquare(freedom, (SIMULATIONS, 1)))
    sizes = np.array(counts, dtype=float)
    signs = _signs(len(counts))
    found = [_significant((ratio + scale * noise) * sizes, signs, alpha) for ratio in _ratios()]
    curve: Array = np.maximum.accumulate(np.array(found))
    return curve


@lru_cache(maxsize=1)
def _ratios() -> "Array":
    """Effects in units of the spread at which power is simulated; between them it is interpolated."""
    import numpy as np

    found: Array = np.geomspace(0.1, 32.0, 40)
    return found


def _many(ratio: float, groups: int, alpha: float, freedom: int) -> float:
    """The power with many groups, whose sum is nearly normal: the t-test's, averaged over the spread's distribution."""
    import numpy as np
    from scipy.stats import norm, t

    chance = np.random.default_rng(groups)
    scale = np.sqrt(chance.chisquare(freedom, SIMULATIONS) / freedom)
    return float(np.mean(norm.cdf(ratio * math.sqrt(groups) * scale - t.ppf(1 - alpha / 2, groups - 1))))


def _signs(groups: int) -> "Array":
    """All signs, but for a flip of all, which changes nothing; of many groups a sample."""
    import numpy as np

    if groups <= _EXACT:
        numbers = np.arange(2 ** (groups - 1))[:, None]
        bits: Array = ((numbers >> np.arange(groups)) & 1).astype(float)
    else:
        bits = np.random.default_rng(groups).integers(0, 2, (SIGNS, groups)).astype(float)
    return 1.0 - 2.0 * bits


def _significant(sums: "Array", signs: "Array", alpha: float) -> float:
    """The share of rows whose sum is positive and significant by the two-sided sign-flip test."""
    import numpy as np

    seen = np.abs(sums.sum(1, keepdims=True)) - _CLOSE
    share = np.mean(np.abs(sums @ signs.T) >= seen, axis=1)
    return float(np.mean((share <= alpha + _CLOSE) & (sums.sum(1) > 0)))
