"""The rules before a training, by what is on record; without an engine."""

from pathlib import Path

import pytest

from evals.sets import build_set, freeze, reserve
from models.errors import GuardrailError, TrainingError
from models.training import TrainingTarget
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.plain_steps import student_settings
from training.bases.bases import Base
from training.bases.files import MERGED
from training.cycle.context import TrainingContext, open_context
from training.cycle.orders import TrainingInputs, TrainOrder
from training.cycle.rules import check_full_training, check_training
from training.data.curation import Card, curate

SCOPE, ANALYSIS = TrainingTarget.SCOPE, TrainingTarget.TASK_ANALYSIS
BASE = Base("b" * 64, "tiny", Path("tiny"), None, None, {"parameters": 300_000})


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "data")
    varied_gold_runs(made, *(Repository(name) for name in ("alpha", "beta", "hidden")))
    return made


@pytest.fixture
def context(world: World) -> TrainingContext:
    return open_context(student_settings(world.folder, "http://127.0.0.1:9/v1"))


def inputs(world: World, target: TrainingTarget = SCOPE, base: Base = BASE, held_out: str = "hidden") -> TrainingInputs:
    """A dataset, and a frozen set of a repository that was reserved before it was made."""
    frozen = build_set(world.raw.engine, target, [held_out], limit=1)
    freeze(world.curated, world.raw.engine, frozen)
    made = curate(world.raw, world.curated, world.request(target))
    assert made.dataset_dir is not None
    return TrainingInputs(base, made.dataset_dir, made.card, frozen)


def with_card(given: TrainingInputs, **changes: object) -> TrainingInputs:
    card: Card = given.card.model_copy(update=changes)
    return TrainingInputs(given.base, given.dataset, card, given.evaluation_set)


def check(context: TrainingContext, given: TrainingInputs, override: str | None = None) -> list[str]:
    target = given.evaluation_set.target
    return check_training(context, TrainOrder(target=target, base="tiny", override=override), given)


def test_gold_examples_of_the_first_tier_keep_all_rules(world: World, context: TrainingContext) -> None:
    assert check(context, inputs(world)) == []
    assert context.registry.log() == []


def test_each_rule_refuses_by_its_name(world: World, context: TrainingContext) -> None:
    given = inputs(world)
    merged = BASE._replace(facts={**BASE.facts, MERGED: "scope-v1"})
    with pytest.raises(GuardrailError, match=r"^frozen-base: "):
        check(context, TrainingInputs(merged, given.dataset, given.card, given.evaluation_set))
    with pytest.raises(GuardrailError, match=r"^teacher-share: "):
        check(context, with_card(given, planners={"student": 100}))
    seen = build_set(world.raw.engine, SCOPE, ["alpha"], limit=1)
    with pytest.raises(GuardrailError, match=r"^contamination: "):
        check(context, TrainingInputs(BASE, given.dataset, given.card, seen))
    reserve(world.curated, world.raw.engine, ["alpha"], "afterwards")
    with pytest.raises(GuardrailError, match=r"^held-out: alpha"):
        check(context, given)
    with pytest.raises(GuardrailError, match=r"^held-out: alpha"):
        check_full_training(context, BASE, given.dataset, given.card)
    with pytest.raises(GuardrailError, match=r"^frozen-base: "):
        check_full_training(context, merged, given.dataset, given.card)


def test_a_dataset_of_another_target_is_refused(world: World, context: TrainingContext) -> None:
    given = with_card(inputs(world), target=ANALYSIS)
    with pytest.raises(TrainingError, match="is a dataset of task_analysis, not of scope"):
        check(context, given)


def test_a_target_before_its_turn_is_refused_or_passed_over_with_a_reason_on_record(
    world: World, context: TrainingContext
) -> None:
    given = inputs(world, ANALYSIS)
    with pytest.raises(GuardrailError, match=r"^tier-order: task_analysis is of tier 2"):
        check(context, given)
    [note] = check(context, given, override="no tuned base can be made here")
    assert note.endswith("(no tuned base can be made here)")
    assert [entry.override for entry in context.registry.log(ANALYSIS)] == [None, "no tuned base can be made here"]
