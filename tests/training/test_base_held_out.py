"""The rows that a tuned base is measured by: of no repository that it, or a base before it, was trained on."""

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from models.errors import EvaluationError
from models.objectives import Objective
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from tests.support.base_material import HELD, TRAINED, dataset_of
from tests.support.pairs_material import World
from tests.support.plain_steps import student_settings
from tests.support.tiny import make_tiny_base
from training.adapters.registry.base_registry import BaseRegistry
from training.bases.bases import Base, add_base, find_base
from training.bases.chat_format import ChatFormat
from training.cycle.base_evaluation import held_out_of
from training.cycle.base_measures import HeldOut, held_out_rows
from training.cycle.context import open_context
from training.data.datasets import read_dataset
from training.fit.data import supervised_rows
from training.fit.recipe import recipe_for
from training.fit.watched import stopping_rows


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "data")
    add_base(made.curated, made.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    return made


def tuned(
    world: World, folder: Path, seed: int, parent: str, dataset: Path, config: dict[str, str] | None = None
) -> Base:
    return BaseRegistry(world.curated, world.folder).register(
        make_tiny_base(folder / f"tuned-{seed}", seed=seed),
        "reasoning",
        find_base(world.curated, parent),
        dataset=read_dataset(dataset).id,
        datasets=(),
        job="p" * 64,
        config=config or {},
        code_revision="2",
    )


def rows_of(world: World, base: Base, named: Path | None = None) -> HeldOut:
    registry = BaseRegistry(world.curated, world.folder)
    context = open_context(student_settings(world.folder, "http://127.0.0.1:9/v1"), lambda what, done, total: None)
    return held_out_of(context, registry, registry.lineage(base), named)


def repositories(rows: HeldOut) -> set[str]:
    return {each["provenance"]["repository"] for records in rows.records.values() for each in records}


def test_what_a_base_before_it_was_trained_on_is_not_held_out(world: World, tmp_path: Path) -> None:
    first = dataset_of(world.raw, world.folder, trained=HELD[:3], held=TRAINED)
    second = dataset_of(world.raw, world.folder)
    one = tuned(world, tmp_path, 1, "tiny", first)
    two = tuned(world, tmp_path, 2, one.name, second)
    assert repositories(rows_of(world, one)) == set(TRAINED)
    rows = rows_of(world, two)
    assert repositories(rows) == set(HELD[3:])
    assert rows.seen == 2 * 3


def test_rows_that_may_have_stopped_a_training_do_not_judge_what_came_of_it(world: World, tmp_path: Path) -> None:
    dataset = dataset_of(world.raw, world.folder)
    base = find_base(world.curated, "tiny")
    recipe = recipe_for(TrainingTarget.SCOPE, "full", TrainingSettings())
    watched = {row.id for row in supervised_rows(dataset, ChatFormat.load(base.path), recipe).validation}
    made = tuned(world, tmp_path, 1, "tiny", dataset, {"watch": recipe.watch})
    rows = rows_of(world, made)
    judging = {each["id"] for records in rows.records.values() for each in records}
    assert len(watched) == len(judging) == len(HELD)
    assert not watched & judging and not rows.watched
    assert repositories(rows) == set(HELD), "no repository is lost"
    before = rows_of(world, tuned(world, tmp_path, 2, "tiny", dataset))  # by a version that watched all
    assert before.watched and sum(map(len, before.records.values())) == 2 * len(HELD)


def test_stages_with_one_row_in_each_repository_are_on_both_sides() -> None:
    def record(repository: int, stage: str) -> dict[str, Any]:
        provenance = {"repository": f"lib{repository}"}
        return {"id": f"{repository} {stage}", "source": "gold", "stage": stage, "provenance": provenance}

    for stages in (("meta_plan", "part_plan"), ("meta_plan", "part_plan", "scope", "test_plan")):
        rows = [record(number, stage) for number in range(24) for stage in stages]
        stopping = stopping_rows(rows)
        assert stopping == stopping_rows(reversed(rows)) and len(stopping) == len(rows) // 2
        for stage in stages:
            of_stage = {each["id"] for each in rows if each["stage"] == stage}
            assert len(of_stage & stopping) >= 6 and len(of_stage - stopping) >= 6, stage
        judged = {each["provenance"]["repository"] for each in rows if each["id"] not in stopping}
        assert len(judged) == 24, "no repository is lost"
    assert stopping_rows([record(number, "scope") for number in range(24)]) == set()


def test_another_dataset_counts_without_what_was_trained_on(world: World, tmp_path: Path) -> None:
    own = dataset_of(world.raw, world.folder)
    other = dataset_of(world.raw, world.folder, trained=(*TRAINED, "new"), held=HELD[:1])
    base = tuned(world, tmp_path, 1, "tiny", own)
    assert repositories(rows_of(world, base, other)) == {"new", HELD[0]}
    shutil.rmtree(own)  # its repositories are on record, but not which of them it was trained on
    assert repositories(rows_of(world, base, other)) == {"new"}
    with pytest.raises(EvaluationError, match="--held-out DIR"):
        rows_of(world, base)


def test_rows_of_an_unknown_training_are_not_held_out(world: World, tmp_path: Path) -> None:
    elsewhere = World(tmp_path / "elsewhere")
    base = tuned(world, tmp_path, 1, "tiny", dataset_of(elsewhere.raw, elsewhere.folder))
    with pytest.raises(EvaluationError, match="not known which repositories"):
        rows_of(world, base, dataset_of(world.raw, world.folder, rows=1))


def test_rows_of_the_other_role_measure_nothing(world: World) -> None:
    code = dataset_of(world.raw, world.folder, TrainingTarget.CODE)
    style = dataset_of(world.raw, world.folder, TrainingTarget.CODE, source="fail-fast")
    assert held_out_rows(code, role="reasoning").records == {}
    assert set(held_out_rows(code, role="coding").records) == {Objective.ROLE}
    assert set(held_out_rows(style, role="reasoning").records) == {Objective.STYLE}
