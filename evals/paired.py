"""Tests of paired differences whose items are clustered by repository.

A difference is challenger minus champion on one item, averaged over its seeds. Every test is exact where it can be
enumerated, and otherwise sampled with a fixed seed, so that the result is reproducible. numpy and scipy are imported
on use.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from evals.power import POWER, deviation, least_effect

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

Key = TypeVar("Key")
EXACT_FLIPS = 20
DRAWS = 20_000
RESAMPLES = 4_000
_CLOSE = 1e-9


def sign_flip(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of the sign-flip test: differences symmetric about zero have a sum at least as far from zero.

    Fisher's randomisation test (The Design of Experiments, 1935, chapter 3): all 2^n signs are enumerated up to
    n = 20 non-zero differences, beyond that 20,000 are drawn (the observed one counts, Phipson and Smyth 2010, so that
    p is never 0). 1.0 without any difference.
    """
    import numpy as np

    values = np.array([abs(value) for value in differences if abs(value) > _CLOSE])
    if not values.size:
        return 1.0
    seen = abs(sum(differences)) - _CLOSE
    if values.size <= EXACT_FLIPS:
        return float(np.mean(np.abs(_signed_sums(values)) >= seen))
    return (1 + int(np.sum(np.abs(_drawn_sums(values, seed)) >= seen))) / (1 + DRAWS)


def sign_flip_over_repositories(by_repository: Mapping[str, Sequence[float]], seed: int = 0) -> float:
    """Two-sided p of `sign_flip` over the sums of the repositories' differences: a repository's items flip together.

    With G repositories the smallest p is 2/2^G. Items have equal weight, so it tests the difference of the means. See
    Canay, Romano and Shaikh 2017, "Randomization tests under an approximate symmetry assumption", on clusters.
    """
    return sign_flip([math.fsum(values) for _, values in sorted(by_repository.items())], seed)


def family_over_repositories(
    groups: Mapping[Key, Mapping[str, Sequence[float]]], least: int, seed: int = 0
) -> dict[Key, tuple[float | None, float]]:
    """p of `sign_flip_over_repositories` for each of a family of tests, and the same corrected by Holm's method.

    A test over fewer than `least` repositories is not made: its p is None, the corrected one 1.0.
    """
    chances = {
        key: sign_flip_over_repositories(each, seed) if len(each) >= least else None for key, each in groups.items()
    }
    known = {key: p for key, p in chances.items() if p is not None}
    adjusted = dict(zip(known, holm(list(known.values())), strict=True))
    return {key: (p, adjusted.get(key, 1.0)) for key, p in chances.items()}


def mcnemar(differences: Sequence[float]) -> float:
    """Two-sided exact p of McNemar's test (1947), from the numbers of items that changed from no (0) to yes (1) and
    back. Differences must be -1, 0 or 1."""
    from scipy.stats import binomtest

    gained = sum(value > 0.5 for value in differences)
    lost = sum(value < -0.5 for value in differences)
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def at_item_level(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p over items: exact McNemar for binary outcomes, else the sign-flip test."""
    yes_or_no = all(min(abs(value - whole) for whole in (-1, 0, 1)) < _CLOSE for value in differences)
    return mcnemar(differences) if yes_or_no else sign_flip(differences, seed)


def no_worse(groups: Sequence[Sequence[float]], margin: float, seed: int = 0) -> float:
    """One-sided p that the mean difference is below -`margin`: small means non-inferior.

    The sign-flip over the groups' sums of difference plus margin (for equivalence margins see Blackwelder 1982,
    '"Proving the null hypothesis" in clinical trials'). The groups are repositories, or single items.
    """
    import numpy as np

    sums = np.array([math.fsum(group) + margin * len(group) for group in groups])
    values = np.abs(sums[np.abs(sums) > _CLOSE])
    if not values.size:
        return 1.0
    seen = float(sums.sum()) - _CLOSE
    if values.size <= EXACT_FLIPS:
        return float(np.mean(_signed_sums(values) >= seen))
    return (1 + int(np.sum(_drawn_sums(values, seed) >= seen))) / (1 + DRAWS)


def fell(differences: Sequence[float], seed: int = 0) -> float:
    """One-sided p that differences symmetric about zero fall as far as these: small means that the mean fell."""
    return no_worse([[-value] for value in differences], 0.0, seed)


def interval(by_repository: Mapping[str, Sequence[float]], seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean difference by the cluster bootstrap (Cameron, Gelbach and Miller 2008, whole
    repositories drawn with replacement), or over items with one repository. Too narrow with few repositories."""
    import numpy as np

    groups = [list(values) for _, values in sorted(by_repository.items()) if values]
    if len(groups) == 1:
        groups = [[value] for value in groups[0]]
    sums = np.array([math.fsum(group) for group in groups])
    counts = np.array([len(group) for group in groups], dtype=float)
    chance = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    step = max(1, 2_000_000 // len(groups))
    for start in range(0, RESAMPLES, step):
        drawn = chance.integers(0, len(groups), (min(step, RESAMPLES - start), len(groups)))
        means[start : start + len(drawn)] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    mean = float(sums.sum() / counts.sum())
    low, high = (float(value) for value in np.quantile(means, [0.025, 0.975]))
    return min(low, mean), max(high, mean)


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for multiple testing by Holm's step-down method (1979), in their order."""
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted


def least_changes(alpha: float = 0.05) -> int:
    """The fewest one-way changes that an exact two-sided test can detect: for n the smallest p is 2/2^n (6-0: 0.031,
    5-0: 0.063)."""
    return math.ceil(1 + math.log2(1 / alpha))


def detectable(groups: Sequence[Sequence[float]], alpha: float = 0.05) -> float | None:
    """The minimum detectable effect: the smallest true difference of the means that is significant with 80% power; None
    if there are too few groups for any (`least_changes`).

    Up to 20 groups by simulating the test (`evals.power`); beyond, (t at 1 - alpha/2 + t at 0.8) times the
    cluster-robust standard error (Bloom 1995, "Minimum detectable effects"), which falls short of the simulated one by
    a third with six groups. At least as many items as the exact tests need must change from 0 to 1; 1.0 at most. The
    groups are repositories, or single items.
    """
    from scipy.stats import t

    count = sum(len(group) for group in groups)
    least = least_changes(alpha)
    if len(groups) < least:
        return None
    if len(groups) <= EXACT_FLIPS:
        spread = deviation(groups)
        effect = least_effect([len(group) for group in groups], alpha) * spread if spread > _CLOSE else 0.0
        return min(1.0, max(effect, least / count))
    mean = math.fsum(value for group in groups for value in group) / count
    squares = math.fsum((math.fsum(group) - mean * len(group)) ** 2 for group in groups)
    freedom = len(groups) - 1
    error = math.sqrt(squares * len(groups) / freedom) / count
    factor = float(t.ppf(1 - alpha / 2, freedom) + t.ppf(POWER, freedom))
    return min(1.0, max(factor * error, least / count))


def _signed_sums(values: "Array") -> "Array":
    """The sums of the values under every choice of signs (2^n of them)."""
    import numpy as np

    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _drawn_sums(values: "Array", seed: int) -> "Array":
    """The sums of the values under signs drawn at random."""
    import numpy as np

    chance = np.random.default_rng(seed)
    sums = np.empty(DRAWS)
    step = max(1, 4_000_000 // len(values))
    for start in range(0, DRAWS, step):
        signs = chance.integers(0, 2, (min(step, DRAWS - start), len(values))) * 2.0 - 1.0
        sums[start : start + len(signs)] = signs @ values
    return sums
