"""The tiny base is tuned, measured, gated, promoted, rolled back; forgetting stops it."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from evals.sets import build_set, freeze
from models.errors import GuardrailError
from models.evaluation import EvaluationSet, GateVerdict
from models.guardrail_settings import GuardrailSettings
from models.objectives import Objective
from models.training import TrainingTarget
from tests.support.base_material import HELD, dataset_of
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.plain_steps import plain_steps, student_settings
from tests.support.tiny import make_adapter, make_tiny_base
from training.adapters.registry.base_registry import BaseRegistry
from training.bases.bases import Base, add_base
from training.cycle.base_evaluation import evaluate_base
from training.cycle.base_promotion import invalid_adapters
from training.cycle.context import TrainingContext, open_context
from training.cycle.steps import StudentCampaign, TrainingSteps
from training.cycle.tuning import make_order, tune

pytestmark = pytest.mark.slow

FEW = {
    "max_steps": 8, "batch_size": 4, "validation_rows": 8, "checkpoint_steps": 4, "full_learning_rate": 5e-3,
    "epochs": 3, "max_tokens": 512,
}  # fmt: skip
HIDDEN = tuple(f"hidden{number}" for number in range(6))
STAGES = (TrainingTarget.TASK_ANALYSIS, TrainingTarget.SCOPE, TrainingTarget.PRECISION)
LAX = {"forgetting_rise": 9.0, "forgetting_agreement": 0.0}
"""The tiny base has random weights, and nothing to forget."""


@pytest.fixture
def world(short_answers: None, tmp_path: Path) -> World:
    made = World(tmp_path / "data")
    for name in HIDDEN:
        varied_gold_runs(made, Repository(name))
    add_base(made.curated, made.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    for target in STAGES:
        freeze(made.curated, made.raw.engine, build_set(made.raw.engine, target, HIDDEN, limit=len(HIDDEN)))
    return made


def context_of(world: World, guardrails: dict[str, Any] = LAX, told: list[str] | None = None) -> TrainingContext:
    settings = student_settings(
        world.folder, "http://127.0.0.1:9/v1", training=FEW, guardrails=GuardrailSettings(**guardrails)
    )
    return open_context(settings, lambda what, done, total: None if told is None else told.append(what))


def no_campaign(asked: StudentCampaign) -> str:
    raise AssertionError(f"no campaign is due: {asked}")


def candidate(world: World) -> tuple[Base, TrainingSteps]:
    steps = plain_steps(no_campaign)
    made = tune(context_of(world), steps, make_order("reasoning", "tiny", dataset_of(world.raw, world.folder), None))
    return made, steps


def test_a_base_is_tuned_measured_gated_promoted_and_rolled_back(world: World, tmp_path: Path) -> None:
    made, steps = candidate(world)
    context, bases = context_of(world), BaseRegistry(world.curated, world.folder)
    adapter = context.registry.register(
        _adapter(tmp_path), TrainingTarget.SCOPE, "tiny", "d" * 64, "p" * 64, {}, {}, "2"
    )
    context.registry.promote(adapter, override="it serves on the old base")
    assert bases.verify(made).parent_name == "tiny"
    assert bases.in_use("reasoning") is None and context.registry.active(TrainingTarget.SCOPE) is not None

    report = evaluate_base(context, steps, made.name)
    assert (report.champion.name, report.challenger.name, report.verdict) == ("tiny", made.name, GateVerdict.PROMOTE)
    [test] = report.objectives
    assert (test.objective, test.repositories, test.rows) == (Objective.ROLE, len(HELD), len(HELD))
    assert test.difference < 0 and test.p_repository == pytest.approx(2 / 2 ** len(HELD))
    assert {each.kind for each in report.forgetting} == {"instructions", "own-instructions", "own-code"}
    assert [stage.target for stage in report.stages] == list(STAGES)
    assert {stage.tests[0].repositories for stage in report.stages} == {len(HIDDEN)}
    [serving] = report.served
    assert (serving.target, serving.champion.adapter, serving.challenger.adapter) == (
        TrainingTarget.SCOPE, adapter.id, None,
    )  # fmt: skip
    assert "stopped the training" not in report.held_out, "the other half of the validation rows did"
    assert bases.in_use("reasoning") is None, "nothing is promoted by a measurement"

    told = list[str]()
    assert evaluate_base(context_of(world, told=told), steps, made.name, "tiny") == report
    assert {what.rpartition(": ")[2] for what in told} == {"done before"}
    assert [row.action for row in bases.log()] == ["evaluate"]

    change = bases.promote(made.name)
    assert bases.in_use("reasoning") == made and context.registry.active(TrainingTarget.SCOPE) is None
    [invalid] = invalid_adapters(context, "reasoning", made, change.stopped)
    assert (invalid.adapter, invalid.was_active, invalid.dataset) == ("scope-v1", True, "d" * 64)

    back = bases.rollback("reasoning", "worse in use")
    assert back.now is not None and back.now.name == "tiny"
    active = context.registry.active(TrainingTarget.SCOPE)
    assert active is not None and active.name == "scope-v1"
    assert [row.action for row in bases.log()] == ["evaluate", "promote", "rollback"]


def test_a_base_that_forgot_is_not_promoted_without_a_reason(world: World) -> None:
    made, steps = candidate(world)
    report = evaluate_base(context_of(world, {"forgetting_rise": 0.0, "forgetting_agreement": 1.0}), steps, made.name)
    assert report.verdict is GateVerdict.REJECT
    assert report.reason.startswith("forgetting: ")
    bases = BaseRegistry(world.curated, world.folder)
    with pytest.raises(GuardrailError, match=r"base-gate: reasoning-base-v1 did not pass \(reject: forgetting"):
        bases.promote(made.name)
    assert bases.promote(made.name, "the prompts do not matter here").now == made


def _adapter(folder: Path) -> Path:
    made = make_adapter(folder / "tiny", folder / "adapter")
    config = made / "adapter_config.json"
    config.write_text(config.read_text().replace(str(folder / "tiny"), "tiny"))
    return made


def test_a_mixture_is_tuned_with_a_smaller_window_and_measured_by_objective(world: World, tmp_path: Path) -> None:
    plans = dataset_of(world.raw, world.folder, TrainingTarget.PLANNING, stage="meta_plan")
    style = dataset_of(world.raw, world.folder, TrainingTarget.CODE, source="fail-fast")
    mix = tmp_path / "mix.toml"
    mix.write_text(f'datasets = ["{plans}", "{style}"]\n[objectives.planning]\nshare = 0.75\n[objectives.style]\n')
    steps, context = plain_steps(no_campaign), context_of(world)
    made = tune(context, steps, make_order("reasoning", "tiny", None, mix, window=2048))
    assert (made.name, made.facts["window"], made.facts["changed"] > 0.5) == ("reasoning-2k-base-v1", 2048, True)
    objectives = made.facts["objectives"]
    assert {name: each["share"] for name, each in objectives.items()} == {"planning": 0.75, "style": 0.25}
    assert sum(each["token_share"] for each in objectives.values()) == pytest.approx(1.0, abs=1e-3)
    lineage = BaseRegistry(world.curated, world.folder).verify(made)
    assert len(lineage.datasets) == 2 and lineage.config["objectives"] == objectives
    with pytest.raises(GuardrailError, match="held-out: repository 'alpha' was trained on"):
        freeze(world.curated, world.raw.engine, _set_of(world, "alpha"))
    report = evaluate_base(context, steps, made.name)
    assert [test.objective for test in report.objectives] == [Objective.PLANNING, Objective.STYLE]
    assert all(test.difference < 0 for test in report.objectives)
    assert report.window is not None and not report.window.justified
    assert (report.window.window, report.window.control) == (2048, None)
    assert report.verdict is not GateVerdict.PROMOTE and "without --window" in report.window.reason


def _set_of(world: World, repository: str) -> EvaluationSet:
    varied_gold_runs(world, Repository(repository))
    return build_set(world.raw.engine, TrainingTarget.SCOPE, [repository], limit=1)
