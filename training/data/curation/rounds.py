"""Rounds: examples that are new since the trained datasets, with a replay of older ones.

The raw database keeps every run, so the pool is everything that can be made of it. The ids of a dataset's candidates
are stored with it as a text. A round is what was no candidate of a trained dataset of the target; 10-20% of the pool's
older examples are added to prevent forgetting.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from models.training import TrainingTarget
from store.learning.datasets import trained_datasets
from store.runs import RawStore
from training.data.curation.examples import Example


@dataclass(frozen=True)
class EarlierRound:
    """An earlier round: a dataset that was trained on, and the ids of its candidates."""

    dataset: str
    considered: frozenset[str]


def earlier_rounds(raw: RawStore, target: TrainingTarget, base: str | None = None) -> list[EarlierRound]:
    """Datasets of a target that a training on a base used (its hash; None: any base), the oldest first."""
    known = trained_datasets(raw.engine, target, base)
    return [EarlierRound(dataset, frozenset(considered.split())) for dataset, considered in known.items()]


def before_this(rounds: Sequence[EarlierRound], ids: Collection[str]) -> list[EarlierRound]:
    """The rounds before the one with these ids: the longest prefix, oldest first, that leaves something new.

    Thus a round that was trained on can be curated again with the same result.
    """
    new, before = set(ids), []
    for each in rounds:
        if not new - each.considered:
            break
        new -= each.considered
        before.append(each)
    return before


def replayed(old: Sequence[Example], new: int, share: float, salt: int) -> list[Example]:
    """Old examples, sampled by hash, that make up a share of the whole with `new` others; all if too few."""
    wanted = round(share / (1 - share) * new)

    def drawn(example: Example) -> str:
        return hashlib.sha256(f"{salt} {example.id}".encode()).hexdigest()

    return sorted(old, key=drawn)[:wanted]
