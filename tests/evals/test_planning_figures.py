"""Figures of plans by type, and the sample of plans that a person reads."""

from pathlib import Path

import pytest

from evals.plan_samples import Drawn, draw, sample_of
from evals.planning import changed_names, figures_of, planning_figures
from models.manifest import PlanningType
from models.outcomes import OutcomeKind
from models.protocols import Request, Stage
from store.database import reading
from store.runs.plan_runs import PlanRun, plan_runs
from tests.support.pairs_material import Repository, World
from tests.support.planning_material import planned, planning_campaign


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def runs(world: World, campaign: str = "c") -> list[PlanRun]:
    with reading(world.raw.engine) as connection:
        return list(plan_runs(connection, campaign))


def figures(world: World) -> dict[tuple[str, str], float]:
    return {(each.type.value, each.name): each.rate.value for each in planning_figures(runs(world))}


def test_each_type_of_plans_has_its_figures(world: World) -> None:
    planning_campaign(world)
    found = planning_figures(runs(world))
    values = {(each.type.value, each.name): each.rate.value for each in found}
    assert values == {
        ("meta", "file_coverage"): pytest.approx(2 / 4),
        ("meta", "dependency_order"): pytest.approx(2 / 4),
        ("meta", "step_success"): pytest.approx((1 + 2 / 3 + 1) / 4),
        ("meta", "kept"): pytest.approx(2 / 4),
        ("step", "file_coverage"): pytest.approx(2 / 3),
        ("step", "step_success"): pytest.approx((1 + 1 / 2 + 1) / 3),
        ("step", "at_once"): pytest.approx((1 + 1 / 2 + 1) / 3),
        ("test", "names_f1"): pytest.approx((2 / 3 + 2 / 3 + 0) / 3),
        ("test", "step_success"): 1.0,
    }
    rates = {(each.type.value, each.name): each.rate for each in found}
    assert {(rate.instances, rate.repositories) for (kind, _), rate in rates.items() if kind == "meta"} == {(12, 3)}
    assert all(rate.low <= rate.value <= rate.high for rate in rates.values())


def test_a_plan_that_cannot_be_read_is_no_plan_left_out(world: World) -> None:
    world.add(Repository("lib"))
    planned(world, "lib-0")
    assert figures(world)["meta", "file_coverage"] == 1.0
    assert set(figures(world).values()) == {1.0, 2 / 3}
    planning_campaign(world, repositories=1)
    assert figures(world)["meta", "file_coverage"] == pytest.approx(3 / 5)


def test_a_task_too_long_to_be_planned_is_no_plan_left_out(world: World) -> None:
    world.add(Repository("lib"))
    planned(world, "lib-0")
    world.run("lib-1", "student").scope().close(OutcomeKind.PROMPT_TOO_LONG, alignment=None, patch="")
    world.run("lib-1", "no-plan").scope().close(OutcomeKind.PROMPT_TOO_LONG, alignment=None, patch="")
    found = {(each.planner, each.type.value, each.name): each.rate for each in planning_figures(runs(world))}
    assert {planner for planner, _, _ in found} == {"student"}
    coverage = found["student", "meta", "file_coverage"]
    assert (coverage.value, coverage.instances) == (0.5, 2)
    assert found["student", "step", "file_coverage"].instances == 1


def test_of_tests_that_were_not_measured_an_unreadable_plan_says_nothing_more(world: World) -> None:
    world.add(Repository("lib"))
    planned(world, "lib-0")
    run = world.run("lib-1", "student").meta_plan()
    run.say(Request(stage=Stage.TEST_PLAN, task=run.task), "no", prompt=False).malformed(Stage.TEST_PLAN)
    run.close(OutcomeKind.PLAN_MALFORMED, alignment=None, patch="")
    found = figures(world)
    assert found["test", "step_success"] == 0.5
    assert not {("test", "steady"), ("test", "lines_run"), ("test", "hunks_noticed")} & found.keys()


def test_plans_of_an_earlier_model_are_not_mixed_with_those_of_the_one_that_took_its_place(world: World) -> None:
    world.add(Repository("lib"))
    planned(world, "lib-0", model="old", target="src/other.py")
    planned(world, "lib-0", model="new")
    found = {each.planner: each.rate.value for each in planning_figures(runs(world)) if each.name == "file_coverage"}
    assert found.pop("student") == 1.0
    assert [(name.partition(" ")[2][:9], value) for name, value in found.items()] == [("(earlier:", 0.0)]


def test_samples_of_an_instance_count_once(world: World) -> None:
    world.add(Repository("lib"))
    planned(world, "lib-0")
    planned(world, "lib-1", target="src/other.py")
    run = world.run("lib-1", "student", sample=1)
    run.meta_plan().close(alignment=0.0)
    found = {(each.type.value, each.name): each for each in planning_figures(runs(world))}
    assert found["meta", "file_coverage"].rate.value == pytest.approx(0.5)
    assert found["meta", "file_coverage"].rate.instances == 2


def test_names_of_a_change_are_those_of_its_code_and_not_of_its_tests(world: World) -> None:
    world.add(Repository("lib"))
    planned(world, "lib-0")
    [run] = runs(world)
    assert changed_names(run) == {"work", "help"}


def test_a_sample_takes_outcomes_and_repositories_in_turn(world: World) -> None:
    planning_campaign(world, repositories=4)
    drawn = draw(runs(world), 6, seed=1)
    by_type = {kind: [each for each in drawn if each.type is kind] for kind in PlanningType}
    assert [len(by_type[kind]) for kind in (PlanningType.META, PlanningType.STEP, PlanningType.TEST)] == [6, 6, 6]
    for each in (PlanningType.META, PlanningType.STEP):
        outcomes = [one.run.outcome for one in by_type[each]]
        assert sorted(map(outcomes.count, set(outcomes))) == [2, 2, 2]
        assert len({one.run.repository for one in by_type[each]}) >= 2
    assert [one.name for one in draw(runs(world), 6, seed=1)] == [one.name for one in drawn]
    assert [one.name for one in draw(runs(world), 6, seed=2)] != [one.name for one in drawn]
    assert [one.name for one in draw(reversed(runs(world)), 6, seed=1)] == [one.name for one in drawn]
    every = draw(runs(world), 1000, seed=1)
    for kind in PlanningType:
        names = [one.name for one in every if one.type is kind]
        for count in (1, 3, 5):
            assert [one.name for one in draw(runs(world), count, seed=1) if one.type is kind] == names[:count]


def test_naming_everything_costs_precision_and_naming_nothing_recall(world: World) -> None:
    world.add(Repository("lib"))
    for number, covers in enumerate([("work", "lib.help(value)"), ("work", *(f"n{n}" for n in range(8))), ()]):
        planned(world, f"lib-{number}", covers=covers)
    found = [{(kind, each.name): value for kind, each, value in figures_of(run)} for run in runs(world)]
    values = [each[PlanningType.TEST, "names_f1"] for each in found]
    assert values == [1.0, pytest.approx(2 / 11), 0.0]


def test_a_sample_holds_what_a_reader_needs(world: World) -> None:
    world.add(Repository("lib"))
    planned(world, "lib-0", rejected=1, why="because")
    drawn = {each.type: each for each in draw(runs(world), 5)}

    def shown(each: Drawn) -> dict[str, str]:
        return dict(sample_of(world.raw, each).steps)

    assert shown(drawn[PlanningType.META]) == {"p1": "2 of 3 steps succeeded"}
    assert shown(drawn[PlanningType.STEP]) == {"s0": "did not succeed", "s1": "succeeded at once"}
    assert shown(drawn[PlanningType.TEST]) == {"t0": "succeeded at once"}
    sample = sample_of(world.raw, drawn[PlanningType.META])
    assert (sample.reasoning, sample.model, sample.outcome) == ("because", "m", "passed")
    assert [role for role, _ in sample.prompt] == ["system", "user"]
    assert "lib, case 0" in sample.prompt[1][1]
    assert '"rationale": "because"' in sample.plan
