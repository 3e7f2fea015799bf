"""Rounds: what is new since the datasets that were trained on, and the share of old examples beside it.

Nothing is ever thrown away: the raw database keeps every run, so the pool is all that can be made of it. What a dataset
was drawn from is kept with it, as a text of ids. A round is what no trained dataset of the target was drawn from; with
it come 10-20% of the pool's older examples, so that what was learned is not forgotten.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select, true

from models.training import TrainingTarget
from store.rows import read_texts, reading, table_of
from store.runs import RawStore
from store.tables import TrainingDataset, TrainingPlan
from training.data.curation.examples import Example

_DATASETS, _PLANS = table_of(TrainingDataset), table_of(TrainingPlan)
CONSIDERED = "considered"


@dataclass(frozen=True)
class EarlierRound:
    """An earlier round: a dataset that was trained on, and the ids of all it was drawn from."""

    dataset: str
    considered: frozenset[str]


def earlier_rounds(raw: RawStore, target: TrainingTarget, base: str | None = None) -> list[EarlierRound]:
    """Datasets of a target that a training was set up with, on a base (its hash; None: on any), the oldest first."""
    query = (
        select(_DATASETS.c.id, _DATASETS.c.config, _DATASETS.c.created_at)
        .join(_PLANS, _PLANS.c.dataset_id == _DATASETS.c.id)
        .where(_DATASETS.c.stage == target.value, true() if base is None else _PLANS.c.base == base)
        .distinct()
        .order_by(_DATASETS.c.created_at, _DATASETS.c.id)
    )
    with reading(raw.engine) as connection:
        rows = {row.id: row.config.get(CONSIDERED) for row in connection.execute(query)}
        texts = read_texts(connection, [key for key in rows.values() if key])
    return [EarlierRound(dataset, frozenset(texts[key].split())) for dataset, key in rows.items() if key]


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
