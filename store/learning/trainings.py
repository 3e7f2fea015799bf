"""Training jobs, by id, and their results."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from models.training import TrainingTarget
from store.database import reading
from store.places import located
from store.rows import add, add_in_sequence, newest_first, writing
from store.tables import TrainingPlan, TrainingRun, table_of
from store.texts import Texts

if TYPE_CHECKING:
    from sqlalchemy import Engine

_RUNS, _PLANS = table_of(TrainingRun), table_of(TrainingPlan)


class FinishedTraining(NamedTuple):
    """A finished training. `job` is the job's id, `result` the content hash of the files at `path`."""

    job: str
    result: str
    path: Path
    backend: str
    steps: int
    tokens: int
    seconds: float
    metrics: dict[str, Any]


def find_training(raw: "Engine", job: str) -> FinishedTraining | None:
    """The finished training of a job, or None."""
    with reading(raw) as connection:
        row = connection.execute(_RUNS.select().where(_RUNS.c.plan_id == job)).one_or_none()
    if row is None:
        return None
    return FinishedTraining(
        row.plan_id, row.adapter, located(row.path), row.backend, row.steps, row.tokens, row.seconds, row.metrics
    )


def superseded_trainings(raw: "Engine") -> set[str]:
    """Jobs that are not finished, and of whose target and base a job begun later is."""
    query = (
        select(_PLANS.c.id, _PLANS.c.stage, _PLANS.c.base, _RUNS.c.plan_id)
        .outerjoin(_RUNS, _RUNS.c.plan_id == _PLANS.c.id)
        .order_by(*newest_first(_PLANS))
    )
    replaced, found = set[tuple[str, str]](), set[str]()
    with reading(raw) as connection:
        for job, stage, base, finished in connection.execute(query):
            if finished is not None:
                replaced.add((stage, base))
            elif (stage, base) in replaced:
                found.add(job)
    return found


def store_training_job(
    raw: "Engine", job: str, target: TrainingTarget, source: str, base: str, dataset: str, config: dict[str, Any]
) -> None:
    """Record a training job by its id and those of base and dataset. Idempotent."""
    row = TrainingPlan(id=job, stage=target.value, source=source, base=base, dataset_id=dataset, config=config)
    with writing(raw) as connection:
        add_in_sequence(connection, row)


def store_training(raw: "Engine", training: FinishedTraining, losses: str) -> FinishedTraining:
    """Record a finished training with the rows of its loss curve; returns the one on record, which is the first."""
    texts = Texts()
    row = TrainingRun(
        plan_id=training.job,
        adapter=training.result,
        path=str(training.path),
        backend=training.backend,
        steps=training.steps,
        tokens=training.tokens,
        seconds=training.seconds,
        metrics=training.metrics,
        losses_hash=texts.add(losses),
    )
    with writing(raw, texts) as connection:
        add(connection, row)
    return find_training(raw, training.job) or training
