"""Rounds: what is new since the datasets that were trained on, and the share of old examples beside it.

Nothing is ever thrown away: the raw database keeps every run, so the pool is all that can be made of it. What a dataset
was drawn from is kept with it, as a text of ids. A round is what no trained dataset of the target was drawn from; with
it come 10-20% of the pool's older examples, so that what was learned is not forgotten.
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
    """An earlier round: a dataset that was trained on, and the ids of all it was drawn from."""

    dataset: str
    considered: frozenset[str]


def earlier_rounds(raw: RawStore, target: TrainingTarget, base: str | None = None) -> list[EarlierRound]:
    """Datasets of a target that a training was set up with, on a base (its hash; None: on any), the oldest first."""
    known = trained_datasets(raw.engine, target, base)
    return [EarlierRound(dataset, frozenset(considered.split())) for dataset, considered in known.items()]


def before_this(rounds: Sequence[EarlierRound], ids: Collection[str]) -> list[EarlierRound]:
    """The rounds that came before the one with these ids: the most, oldest first, that leave something new.

    So the same round can be curated again after it was trained on, and comes out the same.
    """
    new, before = set(ids), []
    for each in rounds:
        if not new - each.considered:
            break
        new -= each.considered
        before.append(each)
    return before


def replayed(old: Sequence[Example], new: int, share: float, salt: int) -> list[Example]:
    """Of old examples so many, drawn by hash, that they are a share of the whole with `new` others; all if too few."""
    wanted = round(share / (1 - share) * new)

    def drawn(example: Example) -> str:
        return hashlib.sha256(f"{salt} {example.id}".encode()).hexdigest()

    return sorted(old, key=drawn)[:wanted]
