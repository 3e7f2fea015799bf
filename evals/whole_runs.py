"""Did the pipeline as a whole get worse? Whole runs before and after a change, instance by instance.

A rate over few instances moves by chance: with ten of them and two samples each, one unlucky sample is 0.05. So a fall
counts if it is larger than a margin *and* more than chance, by a one-sided sign-flip over the instances. Instances of
one repository are alike, which such a test does not know: it sees falls rather too often, and that is the safe side.
Where so few instances passed before that their falling could not show anything, every fall beyond the margin counts.
"""

from collections.abc import Mapping
from statistics import mode
from typing import NamedTuple

from evals.paired import fell
from evals.statistics import pass_at_k
from models.errors import EvaluationError

Passes = Mapping[tuple[str, int], bool]
"""Whether an instance was solved, by instance and seed; samples without a verdict are not there."""


class RateChange(NamedTuple):
    """A rate over the same instances before and after; `p` is one-sided, that it fell by chance. `fallible` of the
    instances had something to lose."""

    before: float
    after: float
    p: float
    instances: int
    fallible: int

    @property
    def fall(self) -> float:
        return self.before - self.after

    @property
    def tells(self) -> float:
        """The smallest p that the instances could have come to."""
        return float(2.0**-self.fallible)

    def is_loss(self, margin: float, alpha: float) -> bool:
        """Whether the rate fell by more than the margin, and not by chance as far as the instances could tell."""
        return self.fall > margin and (self.p <= alpha or self.tells > alpha)


class RateChanges(NamedTuple):
    """pass@1 and pass@k, k being the samples that most instances have."""

    at_1: RateChange
    at_k: RateChange


def compare(before: Passes, after: Passes) -> RateChanges:
    """Two whole runs over the samples that both have: a fault of infrastructure may have taken one from either.

    Raises EvaluationError if they share none.
    """
    shared: dict[str, list[int]] = {}
    for instance, seed in sorted(before.keys() & after.keys()):
        shared.setdefault(instance, []).append(seed)
    if not shared:
        raise EvaluationError("whole runs before and after have no sample with a verdict in common; run them again")
    k = mode(sorted(map(len, shared.values()), reverse=True))
    return RateChanges(_change(before, after, shared, 1), _change(before, after, shared, k))


def _change(before: Passes, after: Passes, shared: Mapping[str, list[int]], k: int) -> RateChange:
    """The change of pass@k over the instances that have k samples."""
    enough = {name: seeds for name, seeds in shared.items() if len(seeds) >= k}
    first, then = (
        [pass_at_k(len(seeds), sum(run[name, seed] for seed in seeds), k) for name, seeds in enough.items()]
        for run in (before, after)
    )
    differences = [b - a for a, b in zip(first, then, strict=True)]
    fallible = sum(value > 0 for value in first)
    return RateChange(sum(first) / len(first), sum(then) / len(then), fell(differences), len(first), fallible)
