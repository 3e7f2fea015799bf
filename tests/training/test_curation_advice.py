"""Which stage needs training most: what failures are put down to, and that the plan can be curated by."""

from pathlib import Path

import pytest

from evals.steadiness import Steadiness, steadiness
from evals.tiers import TierStatus
from models.attribution import CodePlace, Label
from models.curation_settings import CurationSettings
from models.outcomes import OutcomeKind
from models.protocols import Stage
from models.training import TrainingTarget
from tests.support.pairs_material import GOOD_SCOPE, Repository, World, gold_runs
from training.data.curation import TrainingAdvice, advise, curate, read_advice


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.add(Repository("lib", instances=8))
    return made


def plan_of(world: World) -> TrainingAdvice:
    return advise(world.raw, CurationSettings(), TierStatus())[1]


def failures(plan: TrainingAdvice) -> dict[TrainingTarget, int]:
    return {need.target: need.failures for need in plan.needs if need.failures}


def fail(world: World, number: int, label: Label, unseen: tuple[CodePlace, ...] = (), **scope: str) -> None:
    run = world.run(f"lib-{number}", "student")
    for path, decision in scope.items():
        run.recorder.decision(Stage.SCOPE, f"{path}.py", decision, "judge: so")
    run.scope().close(OutcomeKind.TESTS_FAILED, label=label, unseen=unseen)


def test_targets_come_in_the_order_of_the_tiers(world: World) -> None:
    assert [need.target.value for need in plan_of(world).needs] == [
        "code", "scope", "precision", "task_analysis", "planning",
    ]  # fmt: skip


def test_failures_are_put_down_to_targets(world: World) -> None:
    fail(world, 0, Label.CODE)
    fail(world, 1, Label.PLAN)
    fail(world, 2, Label.PLAN)
    fail(world, 3, Label.UNDETERMINED)
    plan = plan_of(world)
    assert failures(plan) == {TrainingTarget.CODE: 1, TrainingTarget.PLANNING: 2}
    assert (plan.undetermined, plan.trajectories, plan.weakest) == (1, 4, TrainingTarget.PLANNING)
    assert "2 failures are put down to planning" in plan.reason


@pytest.mark.parametrize(
    ("decided", "target"),
    [
        ({}, TrainingTarget.TASK_ANALYSIS),
        ({"a": "irrelevant"}, TrainingTarget.SCOPE),
        ({"a": "supporting"}, TrainingTarget.PRECISION),
    ],
)
def test_a_failure_of_retrieval_is_put_down_to_the_stage_that_lost_sight(
    world: World, decided: dict[str, str], target: TrainingTarget
) -> None:
    fail(world, 0, Label.RETRIEVAL, (CodePlace(path="a.py", symbol="f"),), **decided)
    assert failures(plan_of(world)) == {target: 1}


def test_answers_that_cannot_be_read_are_a_need_too_and_golds_are_not_counted(world: World) -> None:
    gold_runs(world, Repository("other", instances=1))
    run = world.run("lib-0", "student").scope().malformed(Stage.SCOPE)
    run.scope(attempt=1).close(OutcomeKind.TESTS_FAILED, label=Label.UNDETERMINED)
    plan = plan_of(world)
    [scope] = [need for need in plan.needs if need.target is TrainingTarget.SCOPE]
    assert (scope.answers, scope.malformed, scope.need) == (2, 0.5, 0.5)
    assert (plan.weakest, plan.planners) == (TrainingTarget.SCOPE, ("student",))
    assert any("50% of answers cannot be read" in advice for advice in scope.advice)


def test_a_students_failures_count_before_a_teachers(world: World) -> None:
    world.run("lib-0", "teacher").scope().close(OutcomeKind.TESTS_FAILED, label=Label.CODE)
    assert failures(plan_of(world)) == {TrainingTarget.CODE: 1}
    fail(world, 1, Label.PLAN)
    assert failures(plan_of(world)) == {TrainingTarget.PLANNING: 1}


def test_without_a_model_nothing_is_weakest_and_the_plan_says_what_to_do(world: World) -> None:
    gold_runs(world, Repository("other", instances=3))
    plan = plan_of(world)
    assert plan.weakest is None
    assert "--planner student" in plan.reason
    [scope] = [need for need in plan.needs if need.target is TrainingTarget.SCOPE]
    assert scope.examples == {"synthetic": 3}
    assert scope.advice[0].startswith("3 of 2000 examples: run gold")


def test_the_same_runs_give_the_same_plan_and_more_runs_another(world: World) -> None:
    first, plan = advise(world.raw, CurationSettings(), TierStatus())
    assert advise(world.raw, CurationSettings(), TierStatus())[0] == first
    assert read_advice(world.raw, first[:12]) == (first, plan)
    fail(world, 0, Label.CODE)
    assert advise(world.raw, CurationSettings(), TierStatus())[0] != first


def test_a_plan_keeps_to_the_runs_that_it_saw(world: World) -> None:
    world.run("lib-0", campaign="seen").scope().close()
    plan_id, _ = advise(world.raw, CurationSettings(), TierStatus())
    world.run("lib-1", campaign="later").scope().close()
    made = curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE, plan=plan_id[:16]))
    assert made.card.examples["sft"] == 1
    assert made.card.config["plan"] == plan_id
    assert curate(world.raw, world.curated, world.request(TrainingTarget.SCOPE)).card.examples["sft"] == 2
    assert GOOD_SCOPE


def test_a_plan_says_whose_turn_it_is_and_counts_nothing_that_is_held_out(world: World) -> None:
    gold_runs(world, Repository("other", instances=3), Repository("kept", instances=2))
    fail(world, 0, Label.PLAN)
    _, plan = advise(world.raw, CurationSettings(), TierStatus(frozenset({TrainingTarget.CODE})), ["kept"])
    by_target = {need.target: need for need in plan.needs}
    assert plan.in_turn == (TrainingTarget.SCOPE,)
    assert by_target[TrainingTarget.SCOPE].examples == {"synthetic": 3}
    assert by_target[TrainingTarget.PRECISION].waits == ("a tuned reasoning base", "a promoted scope adapter")
    assert plan.weakest is TrainingTarget.PLANNING
    assert "its turn has not come: it waits for a tuned reasoning base" in plan.reason


def student(world: World, campaign: str, passes: int, of: int, first: int = 0, identity: str = "v1") -> None:
    for number in range(first, first + of):
        run = world.run(f"lib-{number}", "student", campaign=campaign, identity=identity).scope()
        run.close(OutcomeKind.PASSED if number < first + passes else OutcomeKind.TESTS_FAILED)


def test_runs_are_steady_if_the_last_campaign_of_the_student_passes_no_less_often(world: World) -> None:
    assert steadiness(world.raw.engine).holds(0.05, 1) is None
    student(world, "one", 2, 4)
    assert steadiness(world.raw.engine).instances == 0
    world.run("lib-0", "gold", campaign="gold").scope().close()
    student(world, "two", 1, 3)  # its instances were run before, and passed twice in three
    now = steadiness(world.raw.engine)
    assert now == Steadiness(2 / 3, 1 / 3, 3)
    assert (now.holds(0.05, 3), now.holds(0.4, 3), now.holds(0.4, 4)) == (False, True, None)
    student(world, "two", 3, 3, identity="v2")  # the same campaign once more, by who was trained on it
    assert steadiness(world.raw.engine) == Steadiness(1 / 3, 1.0, 3)
    assert steadiness(world.raw.engine, least=4) == Steadiness(0.0, 0.0, 0)
    student(world, "elsewhere", 2, 2, first=5)
    assert steadiness(world.raw.engine).instances == 0
    assert steadiness(world.raw.engine, ["lib"]).instances == 0
    assert Steadiness(0.0, 0.0, 50).holds(0.05, 20) is False
