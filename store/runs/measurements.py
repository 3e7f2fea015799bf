"""Measured quality of attempts' own tests, found through the decision that holds the measurement's key."""

from typing import Any

from sqlalchemy import Connection, Select, select

from models.plans import Frozen
from models.test_quality import TestQuality
from store.tables import RetrievalDecision, TaskRun, TestQualityRow, same_trajectory, table_of
from store.texts import find_text, read_texts

MEASURED = "measured"
"""The decision whose subject is a measurement's key and whose reason summarises the measurement."""

_DECISIONS = table_of(RetrievalDecision)
_MEASURED = table_of(TestQualityRow)


class OwnTests(Frozen):
    """The measured tests of one closed trajectory: their number and how many pass reliably (`steady`); executable lines
    of its patch and how many the steady tests run; reverted hunks and how many the steady tests detect."""

    planner: str
    tests: int
    steady: int
    lines: int
    ran: int
    hunks: int
    noticed: int


def read_own_tests(connection: Connection, campaign_id: str) -> list[OwnTests]:
    """The measured tests of a campaign's closed trajectories, by planner, from the attempt that counts."""
    runs = table_of(TaskRun)
    query = (
        _measured(runs.c.planner, _MEASURED.c.result_hash)
        .join(runs, same_trajectory(_DECISIONS))
        .where(runs.c.campaign_id == campaign_id, runs.c.closed_attempt == _DECISIONS.c.attempt)
        .order_by(runs.c.planner, runs.c.id)
    )
    rows = connection.execute(query).all()
    texts = read_texts(connection, [result for _, result in rows])
    return [_own(planner, TestQuality.model_validate_json(texts[result])) for planner, result in rows]


def _own(planner: str, found: TestQuality) -> OwnTests:
    return OwnTests(
        planner=planner,
        tests=len(found.tests) + len(found.unsteady),
        steady=len(found.tests),
        lines=found.changed,
        ran=found.changed - len(found.missed),
        hunks=found.total,
        noticed=found.killed,
    )


def own_quality(connection: Connection, campaign_id: str, trajectory_id: str, attempt: int) -> TestQuality | None:
    """The measured quality of an attempt's tests, or None."""
    query = _measured(_MEASURED.c.result_hash).where(
        _DECISIONS.c.campaign_id == campaign_id,
        _DECISIONS.c.task_run_id == trajectory_id,
        _DECISIONS.c.attempt == attempt,
    )
    text = find_text(connection, query)
    return None if text is None else TestQuality.model_validate_json(text)


def _measured(*columns: Any) -> Select[Any]:
    """A query of measurements with the decisions that name them."""
    query = select(*columns).select_from(_DECISIONS)
    return query.join(_MEASURED, _MEASURED.c.id == _DECISIONS.c.subject).where(_DECISIONS.c.decision == MEASURED)
