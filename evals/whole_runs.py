"""Detects regressions of the whole pipeline: whole runs before and after a change, paired by instance.

A rate over few instances varies by chance: with ten of them and two samples each, one sample is 0.05. So a fall counts
if it exceeds a margin *and* is significant by a one-sided sign-flip test over the instances. The test ignores that
instances of one repository are correlated, so it detects falls too often, which is the safe side. If too few instances
passed before for any fall to be significant, every fall beyond the margin counts.
"""

from collections.abc import Mapping
from statistics import mode
from typing import NamedTuple

from evals.paired import fell
from evals.statistics import pass_at_k
from models.errors import EvaluationError

Passes = Mapping[tuple[str, int], bool]
"""Whether an instance was solved, by instance and seed; samples without a verdict are left out."""


class RateChange(NamedTuple):
    """A rate over the same instances before and after; `p` is one-sided, that it fell by chance. `fallible` counts
    the instances that passed at all before."""

    before: float
    after: float
    p: float
    instances: int
    fallible: int

    @property
    def fall(self) -> float:
        return self.before - self.after

    @property
    def smallest_p(self) -> float:
        """The smallest p that is possible with these instances."""
        return float(2.0**-self.fallible)

    def is_loss(self, margin: float, alpha: float) -> bool:
        """Whether the rate fell by more than the margin, significantly or with too few instances for significance."""
        return self.fall > margin and (self.p <= alpha or self.smallest_p > alpha)


class RateChanges(NamedTuple):
    """pass@1 and pass@k, where k is the commonest number of samples per instance. `spread` is the change of what lies
    between them, pass@k - pass@1 of each instance: 0 where all samples are alike. Chance moves both together."""

    at_1: RateChange
    at_k: RateChange
    spread: RateChange | None = None


def compare(before: Passes, after: Passes) -> RateChanges:
    """Compare two whole runs over their common samples, since either may lack some by a fault of infrastructure.

    Raises EvaluationError if they share none.
    """
    shared: dict[str, list[int]] = {}
    for instance, seed in sorted(before.keys() & after.keys()):
        shared.setdefault(instance, []).append(seed)
    if not shared:
        raise EvaluationError("whole runs before and after have no sample with a verdict in common; run them again")
    k = mode(sorted(map(len, shared.values()), reverse=True))
    at_1 = _change(_rates(before, shared, 1), _rates(after, shared, 1))
    at_k = _change(_rates(before, shared, k), _rates(after, shared, k))
    return RateChanges(at_1, at_k, _change(_spreads(before, shared, k), _spreads(after, shared, k)))


def _rates(run: Passes, shared: Mapping[str, list[int]], k: int) -> list[float]:
    """pass@k of the instances with k samples."""
    enough = {name: seeds for name, seeds in shared.items() if len(seeds) >= k}
    return [pass_at_k(len(seeds), sum(run[name, seed] for seed in seeds), k) for name, seeds in enough.items()]


def _spreads(run: Passes, shared: Mapping[str, list[int]], k: int) -> list[float]:
    """pass@k - pass@1 of the instances with k samples."""
    enough = {name: seeds for name, seeds in shared.items() if len(seeds) >= k}
    return [high - low for high, low in zip(_rates(run, enough, k), _rates(run, enough, 1), strict=True)]


def _change(first: list[float], then: list[float]) -> RateChange:
    """The change of a rate, given for each instance before and after."""
    differences = [b - a for a, b in zip(first, then, strict=True)]
    fallible = sum(value > 0 for value in first)
    return RateChange(sum(first) / len(first), sum(then) / len(then), fell(differences), len(first), fallible)
