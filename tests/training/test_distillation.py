"""What the corpus lacks of each kind of example, and the teacher's effort to fill it, by its earlier trajectories."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.sets import reserve
from models.settings import Settings
from models.training import PairSource
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.recipe_material import a_pair
from training.cycle.context import TrainingContext, open_context
from training.cycle.distillation import Lack, lacking, plan_distillation
from training.cycle.example_counts import ExampleKind
from training.data.sources.collections import write_collection

TEACHER = {"models": {"endpoints": {"big": {"url": "http://127.0.0.1:9/v1", "model": "big", "concurrency": 2,
           "price": {"input": 1.0, "output": 2.0}}}, "teachers": {"reasoning": "big"}}}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "data")
    varied_gold_runs(made, Repository("alpha", organisation="a"), Repository("beta", organisation="b"))
    yield made


def context(world: World, **settings: Any) -> TrainingContext:
    return open_context(Settings.model_validate({"data_dir": world.folder, **settings}))


def lack(found: TrainingContext, kind: ExampleKind) -> Lack:
    return next(each for each in lacking(found) if each.kind is kind)


def test_pairs_are_counted_by_kind_and_source_and_held_against_the_numbers_set(world: World) -> None:
    numbers = {"scope": {"least": 20, "target": 30}}
    found = lack(context(world, distillation=numbers), ExampleKind.SCOPE)
    assert (found.sources, found.taught) == ({"synthetic": 8}, 0)
    assert (found.missing, found.missing_to_target) == (12, 22)
    assert (found.repositories, found.organisations) == (2, 2)
    assert "cra synthesize PATH_OR_PACKAGE... --stages scope" in found.fill


def test_the_numbers_are_the_recommended_ones_unless_set(world: World) -> None:
    found = {each.kind: each for each in lacking(context(world))}
    assert (found[ExampleKind.SCOPE].least, found[ExampleKind.SCOPE].target) == (2000, 4000)
    assert (found[ExampleKind.CODE].missing, found[ExampleKind.CODE].target) == (10_000, 50_000)
    assert found[ExampleKind.META_PLAN].missing == 3000
    assert found[ExampleKind.STYLE].missing == 0


def test_reserved_repositories_are_not_counted(world: World) -> None:
    reserve(world.curated, world.raw.engine, ["beta"], "to be measured on")
    assert lack(context(world), ExampleKind.SCOPE).sources == {"synthetic": 4}


def test_collections_of_recipes_and_datasets_count(world: World) -> None:
    pairs = [[a_pair(PairSource.LINTSEQ, number, lines=2)] for number in range(5)]
    write_collection(world.folder, PairSource.LINTSEQ, {"recipe": "test"}, pairs)
    write_collection(
        world.folder, PairSource.FAIL_FAST, {"recipe": "test"}, [[a_pair(PairSource.FAIL_FAST, 1, lines=2)]]
    )
    assert lack(context(world), ExampleKind.CODE).sources == {"lintseq": 5}
    assert lack(context(world), ExampleKind.STYLE).sources == {"fail-fast": 1}


def test_nothing_is_said_of_cost_that_was_not_measured(world: World) -> None:
    plan = plan_distillation(context(world, **TEACHER))
    assert plan.effort is None and plan.teacher == "big"
    assert plan.basis.startswith("nothing is measured")
    assert any("--limit 5" in note for note in plan.notes)


def test_the_end_of_the_teacher_is_said(world: World) -> None:
    plan = plan_distillation(context(world, **TEACHER), ended=True)
    assert plan.notes[0].startswith("air-gapped: the teacher has ended")
    assert any("reasoning traces for meta_plan, part_plan, test_plan" in note for note in plan.notes)


def taught(world: World, count: int) -> None:
    """Passing trajectories of the teacher: a plan each with a trace, and one without for every second."""
    for number in range(count):
        run = world.run(f"{('alpha', 'beta')[number % 2]}-{number // 2}", "teacher", sample=number)
        run.meta_plan(f"Part {number}", reasoning="think", prompt_tokens=1000, completion_tokens=500, latency=7.2)
        if number % 2:
            run.meta_plan(f"Other {number}", prompt_tokens=1000, completion_tokens=500, latency=7.2)
        run.close()


def test_plans_count_with_a_trace_only_and_the_effort_follows_from_earlier_trajectories(world: World) -> None:
    taught(world, 6)
    wanted = {"distillation": {"meta_plan": {"least": 36, "target": 36}, "scope": {"least": 9, "target": 9}}}
    plan = plan_distillation(context(world, **TEACHER, **wanted))
    meta = next(each for each in plan.lacks if each.kind is ExampleKind.META_PLAN)
    assert (meta.with_reasoning, meta.without_reasoning, meta.taught, meta.missing) == (6, 3, 9, 30)
    assert meta.effort is not None
    assert meta.effort.trajectories == 30  # one plan with a trace in each
    assert meta.effort.tokens == 30 * 2250  # 9 calls of 1500 tokens in 6 trajectories
    assert meta.effort.cost == pytest.approx(30 * 1.5 * (1000 * 1.0 + 500 * 2.0) / 1e6, abs=0.01)
    assert meta.effort.hours == pytest.approx(30 * 1.5 * 7.2 / 2 / 3600, abs=0.01)
    assert any("--max-cost 1" in command for command in meta.fill)
    assert plan.effort == meta.effort
    scope = next(each for each in plan.lacks if each.kind is ExampleKind.SCOPE)
    assert (scope.missing, scope.effort) == (1, None)
    assert any("no usable example of" in note and "scope" in note for note in plan.notes)


def test_too_few_trajectories_are_no_measurement(world: World) -> None:
    taught(world, 4)
    assert plan_distillation(context(world, **TEACHER)).effort is None


def test_a_price_that_is_not_set_makes_no_cost(world: World) -> None:
    taught(world, 6)
    endpoint = {"url": "http://127.0.0.1:9/v1", "model": "big"}
    models = {"endpoints": {"big": endpoint}, "teachers": {"reasoning": "big"}}
    plan = plan_distillation(context(world, models=models))
    assert plan.effort is not None
    assert (plan.effort.cost, plan.effort.trajectories) == (None, 2994)
