"""Whole attempts without an engine: gold passes, null fails, and a fault leaves the trajectory open."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.lifecycle.attempt import fault_of, run_attempt
from harness.lifecycle.solving import SolveRequest, solve_order
from harness.packages.package import RepoPackage
from harness.runs.campaign_context import Assignment, CampaignContext, assignments
from harness.runs.executor import DirectExecutor
from harness.runs.model_pool import ModelPool
from harness.runs.solving import SolveOrder
from models.campaign_settings import Grid
from models.errors import DiskFull, InfrastructureError
from models.llm_settings import ModelSettings
from models.outcomes import OutcomeKind, Validation
from models.protocols import Answer
from models.settings import Settings
from runtime.trees import Runtime
from store.runs import RawStore, open_raw_store

pytestmark = pytest.mark.index


class Observed(DirectExecutor):
    """Notes what it executes; validation raises `fault` if there is one."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.executed: list[str] = []

    def answer(self, key: str, label: str, ask: Callable[[], Answer]) -> Answer:
        self.executed.append(label)
        return super().answer(key, label, ask)

    def validate(self, key: str, judge: Callable[[], Validation]) -> Validation:
        self.executed.append("validate")
        if self.fault is not None:
            raise self.fault
        return super().validate(key, judge)


@pytest.fixture
def store(tmp_path: Path) -> RawStore:
    return open_raw_store(tmp_path / "raw.db")


@pytest.fixture
def context(store: RawStore, tmp_path: Path) -> CampaignContext:
    return CampaignContext(store, tmp_path / "cache", ModelPool(ModelSettings()))


@pytest.fixture
def assigned(context: CampaignContext, sample: RepoPackage, runtime: Runtime) -> dict[str, Assignment]:
    """Gold's and null's trajectory at the newest instance."""
    campaign = context.store.register_campaign({"planners": ["gold", "null"]})
    grid = Grid(planners=("gold", "null"), limit=1)
    return {each.planner: each for each in assignments(campaign, sample, grid, context, runtime)}


def test_gold_passes_and_null_fails(context: CampaignContext, assigned: dict[str, Assignment]) -> None:
    endings = {name: run_attempt(assignment, context).kind for name, assignment in assigned.items()}
    assert endings == {"gold": OutcomeKind.PASSED, "null": OutcomeKind.EMPTY_PATCH}
    assert context.store.closed([each.key for each in assigned.values()]) == {each.key for each in assigned.values()}
    [outcome] = context.store.trace(assigned["gold"].key).outcomes
    assert outcome.alignment is not None
    assert outcome.alignment["files"] == 1.0


def test_the_parts_of_an_attempt_are_executed_once(context: CampaignContext, assigned: dict[str, Assignment]) -> None:
    first, again = Observed(), Observed()
    ending = run_attempt(assigned["gold"], context, first)
    assert {"meta_plan", "validate"} <= set(first.executed)
    assert first.executed.count("validate") == 1
    assert run_attempt(assigned["gold"], context, again).kind is ending.kind
    assert again.executed == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (InfrastructureError("the server is gone"), OutcomeKind.HARNESS_ERROR),
        (InfrastructureError("No space left on device"), OutcomeKind.DISK_FULL),
        (DiskFull("the disk that holds the environments is full"), OutcomeKind.DISK_FULL),
        (ValueError("a bug"), OutcomeKind.HARNESS_ERROR),
    ],
)
def test_a_fault_leaves_the_trajectory_open_and_a_later_attempt_closes_it(
    context: CampaignContext, assigned: dict[str, Assignment], fault: Exception, kind: OutcomeKind
) -> None:
    gold = assigned["gold"]
    ending = run_attempt(gold, context, Observed(fault))
    assert (ending.kind, fault_of(fault)) == (kind, kind)
    assert str(fault) in ending.detail
    assert context.store.closed([gold.key]) == set()
    assert run_attempt(gold, context).kind is OutcomeKind.PASSED
    outcomes = {each.attempt: each.kind for each in context.store.trace(gold.key).outcomes}
    assert outcomes == {1: kind, 2: OutcomeKind.PASSED}


def test_an_order_is_solved_once(sample: RepoPackage, runtime: Runtime, store: RawStore, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    instance = next(each for each in sample.manifest.instances if each.valid)
    order = SolveOrder(
        task=instance.task, repository=str(sample.git.directory), revision=instance.base_commit, gold=instance.commit
    )
    executor = Observed()
    solved = solve_order(order, SolveRequest(planner="gold"), settings, runtime, store, executor)
    assert (solved.outcome, solved.untested) == (OutcomeKind.NO_REGRESSION, "")
    assert solved.check is not None
    assert solved.check.broken == ()
    asked = len(executor.executed)
    assert solve_order(order, SolveRequest(planner="gold"), settings, runtime, store, executor) == solved
    assert len(executor.executed) == asked
