"""Campaigns with two bases: the figures of their plans are compared by type, and a fall stops a tuned base."""

from pathlib import Path

import pytest

from evals.base_gate import BaseEvidence, decide_base
from evals.base_report import base_markdown, planning_rows
from evals.planning_gate import compare_planning, fallen
from evals.thresholds import Rules
from host.settings import load_settings
from models.base_evaluation import ForgettingBounds, PlanningEvidence
from models.errors import EvaluationError
from models.evaluation import GateVerdict, Subject
from models.plan_reviews import PlanName, ReviewVerdict
from models.protocols import FALLBACK, Stage
from store.database import reading
from store.runs.plan_reviews import GivenVerdict, add_reviews
from store.runs.plan_runs import plan_runs
from tests.support.pairs_material import Repository, World
from tests.support.planning_material import planned
from training.cycle.base_planning import PlanningCampaigns, planning_evidence, planning_notes
from training.cycle.context import TrainingContext, open_context

NAMES = tuple(f"lib{number}" for number in range(8))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Eight repositories; the plans of `new` name the wrong file where those of `old` name the right one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path))
    made = World(tmp_path)
    for name in NAMES:
        made.add(Repository(name))
        planned(made, f"{name}-0", campaign="old", model="base-1")
        planned(made, f"{name}-0", campaign="new", model="base-2", target="src/other.py")
    return made


def evidence(world: World, seen: tuple[str, ...] = (), new: str = "new") -> PlanningEvidence:
    context: TrainingContext = open_context(load_settings())
    return planning_evidence(context, PlanningCampaigns("old", new), set(seen))


def decided(planning: PlanningEvidence | None) -> tuple[GateVerdict, str]:
    old, new = Subject(name="old", base="1"), Subject(name="new", base="2")
    bounds = ForgettingBounds(rise=1.0, agreement=0.0)
    report = decide_base(BaseEvidence("reasoning", old, new, [], {}, [], bounds, planning))
    assert (planning is None) == (planning_rows(report) == [])
    assert all(row[1] in base_markdown(report) for row in planning_rows(report))
    return report.verdict, report.reason


def test_a_fall_that_is_significant_over_repositories_rejects(world: World) -> None:
    found = evidence(world)
    tests = {(each.type.value, each.figure): each for each in found.tests}
    coverage = tests["meta", "file_coverage"]
    assert (coverage.champion, coverage.challenger, coverage.repositories) == (1.0, 0.0, 8)
    assert coverage.p_repository == pytest.approx(2 / 2**8)
    assert coverage.p_adjusted == pytest.approx(2 / 2**8 * len(tests))
    assert tests["step", "step_success"].difference == 0.0
    verdict, reason = decided(found)
    assert verdict is GateVerdict.REJECT
    assert "file_coverage of meta plans" in reason
    assert decided(None)[0] is GateVerdict.INCONCLUSIVE


def test_repositories_that_were_trained_on_and_few_repositories_show_nothing(world: World) -> None:
    few = evidence(world, seen=NAMES[:5])
    assert {each.repositories for each in few.tests} == {3}
    assert {each.p_repository for each in few.tests} == {None}
    assert fallen(few.tests, Rules()) == []
    with pytest.raises(EvaluationError, match="no instance in common"):
        evidence(world, seen=NAMES)


def test_what_people_read_and_which_models_answered_is_in_the_evidence(world: World) -> None:
    assert "cra review planning new" in planning_notes(evidence(world))[1]
    with reading(world.raw.engine) as connection:
        run = next(plan_runs(connection, "new"))
    name = PlanName(trajectory=run.key.trajectory, attempt=run.key.attempt, seq=run.plans[0].seq)
    add_reviews(world.raw.engine, [GivenVerdict(name, ReviewVerdict.BAD, "wrong file")], "ann")
    found = evidence(world)
    assert found.reviews == {"meta": {"good": 0, "fine": 0, "bad": 1}}
    assert found.models == ("base-1", "base-2")
    assert "meta 1, 1 of them bad" in planning_notes(found)[1]


def test_a_campaign_in_which_a_generalist_answered_is_no_evidence_of_its_base(world: World) -> None:
    run = world.run("lib0-1", "student", campaign="new", identity="base-2").meta_plan(model="large")
    run.recorder.decision(Stage.META_PLAN, "task attempt 2", FALLBACK, "unusable: no JSON")
    run.recorder.flush()
    run.close()
    with pytest.raises(EvaluationError, match=r"campaign new: a generalist gave 1 .* generalist"):
        evidence(world)


def test_two_bases_in_one_campaign_are_told_apart_by_the_name_of_their_run(world: World) -> None:
    """Models are no part of what identifies a campaign, so that both runs go on with one."""
    for name in NAMES:
        planned(world, f"{name}-1", campaign="same", label="first", model="base-1")
    for name in NAMES:
        planned(world, f"{name}-1", campaign="same", label="second", model="base-2", target="src/other.py")
    world.raw.start_run(world.raw.register_campaign({"name": "same"}), "third", "flow", [])
    context = open_context(load_settings())
    found = planning_evidence(context, PlanningCampaigns("first", "second"), set())
    coverage = next(each for each in found.tests if (each.type.value, each.figure) == ("meta", "file_coverage"))
    assert (coverage.champion, coverage.challenger, found.models) == (1.0, 0.0, ("base-1", "base-2"))
    turned = planning_evidence(context, PlanningCampaigns("second", "first"), set())
    assert {each.difference for each in turned.tests if each.figure == "file_coverage"} == {1.0}
    for names, said in ((("first", "first"), "same models"), (("first", "third"), "third: the student began nothing")):
        with pytest.raises(EvaluationError, match=said):
            planning_evidence(context, PlanningCampaigns(*names), set())


def test_campaigns_of_several_planners_are_not_mixed(world: World) -> None:
    planned(world, "lib0-1", planner="teacher", campaign="old")
    with reading(world.raw.engine) as connection, pytest.raises(EvaluationError, match="teacher"):
        compare_planning(plan_runs(connection, "old"), plan_runs(connection, "new"), Rules())
