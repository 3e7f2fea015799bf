"""Finished trainings with the rows of their loss curves."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from models.plans import Frozen
from models.training import TrainingTarget
from store.database import reading
from store.tables import TrainingPlan, TrainingRun, table_of
from store.texts import read_texts

if TYPE_CHECKING:
    from sqlalchemy import Engine

_RUNS, _PLANS = table_of(TrainingRun), table_of(TrainingPlan)


class LossCurve(Frozen):
    """A finished training. `result` is the content hash of what it made, `losses` the rows of its log as JSON lines."""

    job: str
    target: TrainingTarget
    base: str
    result: str
    backend: str
    steps: int
    tokens: int
    seconds: float
    finished_at: datetime
    losses: str


def read_loss_curves(raw: "Engine", newest: int) -> list[LossCurve]:
    """The newest trainings that have finished, at most so many, the oldest of them first."""
    query = (
        select(_RUNS, _PLANS.c.stage, _PLANS.c.base)
        .join(_PLANS, _PLANS.c.id == _RUNS.c.plan_id)
        .order_by(_RUNS.c.created_at.desc(), _RUNS.c.plan_id)
        .limit(newest)
    )
    with reading(raw) as connection:
        rows = connection.execute(query).mappings().all()
        texts = read_texts(connection, [row["losses_hash"] for row in rows])
    return [
        LossCurve(
            job=row["plan_id"],
            target=TrainingTarget(row["stage"]),
            base=row["base"],
            result=row["adapter"],
            backend=row["backend"],
            steps=row["steps"],
            tokens=row["tokens"],
            seconds=row["seconds"],
            finished_at=row["created_at"],
            losses=texts[row["losses_hash"]],
        )
        for row in reversed(rows)
    ]
