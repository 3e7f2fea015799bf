"""What is on record of the steps of an attempt: plans, edits and test runs, in the order in which they happened."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, select

from models.plans import PartPlan, TestPlan
from models.protocols import Stage
from models.suite import SuiteReport
from store.runs.attempts import AttemptKey
from store.tables import EditRow, PlanRow, TestRun, table_of
from store.texts import read_texts

_PLANS, _EDITS, _TESTS = table_of(PlanRow), table_of(EditRow), table_of(TestRun)
_KINDS: dict[str, type[PartPlan]] = {Stage.PART_PLAN.value: PartPlan, Stage.TEST_PLAN.value: TestPlan}


class StepEdit(NamedTuple):
    """An edit of an attempt at a step, counted from 0; `error`: why it was not applied."""

    part: str
    step: str
    attempt: int
    error: str | None


class StepTestRun(NamedTuple):
    """A test run with its purpose."""

    purpose: str
    report: SuiteReport


StepEvent = PartPlan | StepEdit | StepTestRun


def step_events(connection: Connection, key: AttemptKey) -> list[StepEvent]:
    """The events of an attempt: plans of parts and of their tests, edits, test runs of whatever purpose."""
    plans = connection.execute(
        select(_PLANS.c.seq, _PLANS.c.stage, _PLANS.c.plan_hash).where(_of(_PLANS, key), _PLANS.c.stage.in_(_KINDS))
    ).all()
    tests = connection.execute(select(_TESTS.c.seq, _TESTS.c.purpose, _TESTS.c.report_hash).where(_of(_TESTS, key)))
    runs = tests.all()
    edits = connection.execute(
        select(_EDITS.c.seq, _EDITS.c.part_id, _EDITS.c.step_id, _EDITS.c.step_attempt, _EDITS.c.error).where(
            _of(_EDITS, key)
        )
    )
    texts = read_texts(connection, [*(row.plan_hash for row in plans), *(row.report_hash for row in runs)])
    found: list[tuple[int, StepEvent]] = [(row.seq, StepEdit(*row[1:])) for row in edits]
    found += [(row.seq, _KINDS[row.stage].model_validate_json(texts[row.plan_hash])) for row in plans]
    found += [
        (row.seq, StepTestRun(row.purpose, SuiteReport.model_validate_json(texts[row.report_hash]))) for row in runs
    ]
    return [event for _, event in sorted(found, key=lambda pair: pair[0])]


def _of(table: Table, key: AttemptKey) -> ColumnElement[bool]:
    return and_(
        table.c.campaign_id == key.campaign, table.c.task_run_id == key.trajectory, table.c.attempt == key.attempt
    )
