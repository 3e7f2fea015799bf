"""The share of planned steps that succeeded, replayed from the rows of runs of the real loop."""

from pathlib import Path

import pytest

from evals.sets import build_set, scores_from_campaign
from evals.step_success import step_success
from evals.thresholds import STEP_SUCCESS
from models.edits import CreateFile, EditResult, Rung
from models.outcomes import OutcomeKind
from models.plans import PartPlan, PlanStep, Target
from models.protocols import Stage
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport
from models.training import TrainingTarget
from store.database import open_database
from store.runs import RawStore
from store.runs.step_events import StepEdit, StepEvent, StepTestRun
from tests.support.evaluation_runs import manifest, run

TARGET = Target(path="a.py")


def plan(*steps: str) -> PartPlan:
    return PartPlan(part_id="p", steps=tuple(PlanStep(id=s, description=s, targets=(TARGET,)) for s in steps))


def edit(step: str, attempt: int = 0, error: str | None = None) -> StepEdit:
    return StepEdit("p", step, attempt, error)


def suite_run(purpose: str, *failing: str, passing: tuple[str, ...] = ("good",)) -> StepTestRun:
    cases = {name: CaseResult(id=name, status=CaseStatus.FAILED) for name in failing}
    cases |= {name: CaseResult(id=name, status=CaseStatus.PASSED) for name in passing}
    return StepTestRun(purpose, SuiteReport(end=SuiteEnd.COMPLETED, exit_code=1, seconds=0.0, cases=cases, output=""))


@pytest.mark.parametrize(
    ("events", "share"),
    [
        ([], None),
        ([plan("a", "b")], 0.0),
        ([plan("a", "b"), edit("a"), edit("b")], 1.0),
        ([plan("a", "b"), edit("a", error="no such text"), edit("b")], 0.5),
        ([plan("a"), edit("a", error="no such text"), edit("a", 1)], 1.0),
        ([plan("a"), edit("a"), edit("a", error="one of two")], 0.0),
        ([plan("a"), suite_run("baseline"), edit("a"), suite_run("p/a attempt 0", "good", passing=())], 0.0),
        ([plan("a"), suite_run("baseline", "bad"), edit("a"), suite_run("p/a attempt 0", "bad")], 1.0),
        ([plan("a"), edit("a"), suite_run("p/a attempt 0", "bad"), edit("a", 1), suite_run("p/a attempt 1")], 1.0),
        ([plan("a"), edit("a"), suite_run("p/a attempt 0", "bad"), edit("a", 1, "rejected")], 0.0),
        ([plan("a", "b"), edit("a"), suite_run("p/a attempt 0", "x"), edit("b"), suite_run("p/b attempt 0", "x")], 0.5),
        ([plan("a"), edit("a"), suite_run("p/a attempt 0"), plan("t", "u"), edit("t")], 2 / 3),
        ([plan("a"), edit("a"), suite_run("candidate", "good", passing=())], 1.0),
        ([edit("task")], None),
    ],
)
def test_a_step_succeeds_if_its_last_edit_applied_and_broke_nothing(events: list[StepEvent], share: float) -> None:
    assert step_success(events) == (None if share is None else pytest.approx(share))


def test_plans_of_a_campaign_are_scored_by_the_rows_of_their_steps(tmp_path: Path) -> None:
    raw = open_database(tmp_path / "raw.sqlite", "raw")
    store = RawStore(raw)
    run(store, "one", 2)
    built = build_set(raw, TrainingTarget.PLANNING, ["one"])
    keys = store.register_package(manifest("one", 2))
    campaign = store.register_campaign({"n": 1})
    for number, error in enumerate((None, "no such text")):
        trajectory = store.open_trajectory(campaign, keys[f"one-{number}"], "student", "v1", 0.6, 0)
        attempt = store.begin_attempt(trajectory)
        assert attempt is not None
        recorder = store.recorder(trajectory, attempt)
        recorder.plan(Stage.PART_PLAN, plan("a", "b"))
        recorder.edits("p", "a", 0, [result(error)])
        before, after = suite_run("baseline"), suite_run("p/b attempt 0", "good", passing=())
        recorder.tests(*before)
        recorder.edits("p", "b", 0, [result(None)])
        recorder.tests(*after)
        store.close_trajectory(trajectory, attempt, OutcomeKind.TESTS_FAILED)
    scores = {each.item: each.scores for each in scores_from_campaign(raw, "c", built).scores}
    by_instance = {item.instance: scores[item.id][STEP_SUCCESS] for item in built.items}
    assert by_instance == {"one-0": 0.5, "one-1": 0.0}


def result(error: str | None) -> EditResult:
    return EditResult(edit=CreateFile(path="a.py", content="x"), rung=None if error else Rung.EXACT, error=error)
