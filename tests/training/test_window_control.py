"""A smaller window is justified against its control alone: the sibling on the same data with the whole window."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evals.base_report import base_lines
from models.base_evaluation import BaseReport, Forgetting, ForgettingBounds
from models.errors import GuardrailError
from models.evaluation import GateVerdict, Subject
from models.guardrail_settings import GuardrailSettings
from tests.support.base_material import dataset_of
from tests.support.pairs_material import World
from tests.support.plain_steps import plain_steps, student_settings
from tests.support.tiny import make_tiny_base
from training.adapters.registry.base_registry import BaseRegistry
from training.bases.bases import Base, add_base, find_base, list_bases
from training.cycle.base_evaluation import evaluate_base
from training.cycle.context import open_context
from training.cycle.steps import StudentCampaign
from training.cycle.tuning import make_order, tune
from training.cycle.window_control import ReducedWindow, how_to_tune, judge_window, reduced_window

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytest.importorskip("torch")


def tuned(
    curated: "Engine", root: Path, seed: int, data: str, window: int | None = None, steps: int = 9, tokens: int = 1024
) -> Base:
    folder = make_tiny_base(root / f"tuned-{seed}", seed=seed)
    if window is not None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"max_position_embeddings": window}))
    return BaseRegistry(curated, root).register(
        folder, "reasoning", find_base(curated, "old"), dataset=data * 64, datasets=(), job=str(seed) * 64,
        config={"max_steps": steps, "max_tokens": tokens}, code_revision="2", window=window,
    )  # fmt: skip


def found(curated: "Engine", root: Path, base: Base) -> ReducedWindow | None:
    return reduced_window(BaseRegistry(curated, root), list_bases(curated), base)


def report_on(challenger: Base, champion: Base, verdict: GateVerdict) -> BaseReport:
    return BaseReport(
        role="reasoning",
        champion=Subject(name=champion.name, base=champion.id),
        challenger=Subject(name=challenger.name, base=challenger.id),
        verdict=verdict,
        reason="loss fell; and more",
        forgetting=(Forgetting(kind="instructions", prompts=1, tokens=9, before=1.0, after=1.1),),
        bounds=ForgettingBounds(rise=0.2, agreement=0.7),
    )


def test_the_control_is_the_sibling_on_the_same_data_with_the_whole_window(curated: "Engine", tmp_path: Path) -> None:
    old = add_base(curated, tmp_path, make_tiny_base(tmp_path / "old"), "old")
    reduced = tuned(curated, tmp_path, 1, "a", window=1024)
    assert reduced.facts["window"] < old.facts["window"]
    tuned(curated, tmp_path, 2, "b")  # on other data
    tuned(curated, tmp_path, 3, "a", window=512)  # smaller as well
    tuned(curated, tmp_path, 5, "a", steps=1)  # by another recipe
    tuned(curated, tmp_path, 6, "a", tokens=4096)  # on longer rows
    lone = found(curated, tmp_path, reduced)
    assert lone is not None and lone.control is None
    command = how_to_tune(lone, tmp_path)
    assert "CRA_TRAINING__MAX_TOKENS=1024" in command and "--base old" in command

    control = tuned(curated, tmp_path, 4, "a")
    assert found(curated, tmp_path, control) is None
    both = found(curated, tmp_path, reduced)
    assert both is not None and both.control == control


def test_a_gain_over_the_base_in_use_promotes_no_window_that_its_control_does_not_bear_out(
    curated: "Engine", tmp_path: Path
) -> None:
    old = add_base(curated, tmp_path, make_tiny_base(tmp_path / "old"), "old")
    reduced, bases = tuned(curated, tmp_path, 1, "a", window=1024), BaseRegistry(curated, tmp_path)
    gain = report_on(reduced, old, GateVerdict.PROMOTE)
    bases.note(reduced, gain)
    with pytest.raises(GuardrailError, match="compares it with no control"):
        bases.promote(reduced.name)

    lone = found(curated, tmp_path, reduced)
    assert lone is not None
    without = judge_window(gain, lone, None, tmp_path)
    assert (without.verdict, without.window and without.window.justified) == (GateVerdict.INCONCLUSIVE, False)
    assert "cra bases tune" in without.reason
    bases.note(reduced, without)
    with pytest.raises(GuardrailError, match="window is not justified"):
        bases.promote(reduced.name)

    control = tuned(curated, tmp_path, 4, "a")
    both = found(curated, tmp_path, reduced)
    assert both is not None
    unsure = judge_window(gain, both, report_on(reduced, control, GateVerdict.INCONCLUSIVE), tmp_path)
    assert unsure.verdict is GateVerdict.INCONCLUSIVE
    assert any(f"not justified against its control {control.name}" in line for line in base_lines(unsure))
    better = judge_window(gain, both, report_on(reduced, control, GateVerdict.PROMOTE), tmp_path)
    assert (better.verdict, better.reason) == (gain.verdict, gain.reason)
    bases.note(reduced, better)
    assert bases.promote(reduced.name).now == reduced


def no_campaign(asked: StudentCampaign) -> str:
    raise AssertionError(f"no campaign is due: {asked}")


@pytest.mark.slow
def test_evaluating_a_reduced_base_evaluates_it_against_its_control_first(short_answers: None, tmp_path: Path) -> None:
    world, steps = World(tmp_path / "data"), plain_steps(no_campaign)
    add_base(world.curated, world.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    few = {
        "max_steps": 2, "batch_size": 4, "validation_rows": 8, "checkpoint_steps": 2, "full_learning_rate": 5e-3,
        "max_tokens": 512,
    }  # fmt: skip
    lax = GuardrailSettings(forgetting_rise=9.0, forgetting_agreement=0.0)
    context = open_context(student_settings(world.folder, "http://127.0.0.1:9/v1", training=few, guardrails=lax))
    data = dataset_of(world.raw, world.folder)
    reduced = tune(context, steps, make_order("reasoning", "tiny", data, None, window=1024))
    control = tune(context, steps, make_order("reasoning", "tiny", data, None))
    report = evaluate_base(context, steps, reduced.name)
    assert report.window is not None
    assert (report.champion.name, report.window.control) == ("tiny", control.name)
    logged = [BaseReport.model_validate(row.report) for row in BaseRegistry(world.curated, world.folder).log()]
    assert [each.champion.name for each in logged] == [control.name, "tiny"]
    assert report.window.verdict is logged[0].verdict
    assert evaluate_base(context, steps, control.name).window is None
