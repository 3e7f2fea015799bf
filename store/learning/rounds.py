"""Steps of self-improvement rounds: one row per finished step, never changed."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select

from store.database import reading
from store.rows import record, writing
from store.tables import ImprovementStep, table_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

StepRecord = dict[str, Any]
_STEPS = table_of(ImprovementStep)


def find_step(raw: "Engine", number: int, step: str, target: str) -> StepRecord | None:
    """The result of a finished step of a round, or None. `target` is empty for a step without one."""
    query = select(_STEPS.c.result).where(_STEPS.c.round == number, _STEPS.c.step == step, _STEPS.c.target == target)
    with reading(raw) as connection:
        found: StepRecord | None = connection.scalar(query)
        return found


def store_step(raw: "Engine", number: int, step: str, target: str, result: StepRecord) -> None:
    """Record a finished step. Raises DatabaseError if it was recorded with another result."""
    with writing(raw) as connection:
        record(connection, ImprovementStep(round=number, step=step, target=target, result=result))


def last_round(raw: "Engine") -> tuple[int, dict[str, StepRecord]]:
    """The number of the last round, 0 if there was none, and the results of its steps without a target."""
    with reading(raw) as connection:
        number = connection.scalar(select(func.coalesce(func.max(_STEPS.c.round), 0))) or 0
        rows = connection.execute(
            select(_STEPS.c.step, _STEPS.c.result).where(_STEPS.c.round == number, _STEPS.c.target == "")
        )
        return number, {row.step: row.result for row in rows}


def steps_named(raw: "Engine", step: str) -> list[StepRecord]:
    """The results of a named step in all rounds, in the order of the rounds."""
    query = select(_STEPS.c.result).where(_STEPS.c.step == step).order_by(_STEPS.c.round)
    with reading(raw) as connection:
        return list(connection.scalars(query))


class FinishedStep(NamedTuple):
    """A finished step of a round; `target` is empty for a step without one."""

    round: int
    step: str
    target: str
    result: StepRecord
    at: datetime


def all_steps(raw: "Engine") -> list[FinishedStep]:
    """The finished steps of all rounds, in the order of the rounds."""
    columns = (_STEPS.c.round, _STEPS.c.step, _STEPS.c.target, _STEPS.c.result, _STEPS.c.created_at)
    with reading(raw) as connection:
        return [FinishedStep(*row) for row in connection.execute(select(*columns).order_by(*columns[:3]))]


def newest_step_time(raw: "Engine") -> datetime | None:
    """The latest time of any finished step, None if there is none."""
    with reading(raw) as connection:
        found: datetime | None = connection.scalar(
            select(_STEPS.c.created_at).order_by(_STEPS.c.created_at.desc()).limit(1)
        )
        return found
