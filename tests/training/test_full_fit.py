"""Full fine-tunes: the precision of the weights that change, mixtures of objectives, a kill, a full disk, NaN."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from models.errors import TrainingError
from models.objectives import Objective
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from tests.support.fitting_data import rewrite as rewritten
from tests.support.fitting_data import tiny_base, write_dataset
from training.bases.bases import Base
from training.fit.changed import changed_share, stored_dtype
from training.fit.fitting import Fit, TrainingProgress, fit_full
from training.fit.recipe import Recipe, recipe_for
from training.fit.sampler import drawn_rows, mixture_order
from training.fit.trainers import checkpoints

pytestmark = pytest.mark.slow

MIX = ((Objective.STYLE, 0.25), (Objective.ROLE, 0.5), (Objective.PLANNING, 0.25))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_base(tmp_path_factory.mktemp("full") / "base")


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory, base: Base) -> Base:
    """The base with its weights stored in bf16, as models are published."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("full") / "half"
    made = tiny_base(folder)
    file = folder / "model.safetensors"
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(str(file)).items()}
    save_file(weights, str(file), {"format": "pt"})
    return made


def a_recipe(**changes: Any) -> Recipe:
    settings = TrainingSettings(batch_size=2, epochs=1, checkpoint_steps=3, max_tokens=512)
    rate = {} if "learning_rate" in changes else {"learning_rate": 2e-3}
    return recipe_for(TrainingTarget.PLANNING, "full", settings).model_copy(update=changes | rate)


def mixed_dataset(folder: Path, rows: int = 16, validation: int = 6) -> Path:
    """A dataset whose rows serve three objectives in turn."""
    write_dataset(folder, rows=rows, validation=validation, target="planning")
    records = [json.loads(line) for line in (folder / "sft.jsonl").read_text().splitlines()]
    for number, record in enumerate(records):
        source, stage = (("fail-fast", "code"), ("harness", "scope"), ("harness", "meta_plan"))[number % 3]
        record |= {"source": source, "stage": stage}
    return rewritten(folder, "sft.jsonl", records)


def silent(progress: TrainingProgress) -> None:
    """A report of progress that is dropped."""


def test_weights_in_full_precision_change_where_bf16_rounds_the_changes_away(half: Base, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", rows=16)
    shares = {}
    for masters in ("fp32", "bf16"):
        recipe = a_recipe(masters=masters, learning_rate=1e-5, epochs=2)
        fit = fit_full(dataset, half, tmp_path / masters, recipe, silent)
        assert stored_dtype(fit.adapter_dir) is torch.bfloat16, "a result is stored as its base is"
        assert fit.changed is not None
        shares[masters] = fit.changed
    assert shares["fp32"] > 2 * shares["bf16"] > 0


def test_a_training_that_changes_no_weight_is_refused(half: Base, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none of the base's \d+ weights changed"):
        recipe = a_recipe(learning_rate=1e-60)
        fit_full(write_dataset(tmp_path / "d", rows=2), half, tmp_path / "o", recipe, silent)
    assert not (tmp_path / "o" / "fit.json").exists()


def test_rounding_to_the_masters_precision_is_no_change(base: Base, tmp_path: Path) -> None:
    """The base is stored in float32, so that nearly all of its weights differ from themselves in bf16."""
    with pytest.raises(TrainingError, match=r"none of the base's \d+ weights changed"):
        recipe = a_recipe(learning_rate=1e-60, masters="bf16")
        fit_full(write_dataset(tmp_path / "d", rows=2), base, tmp_path / "o", recipe, silent)


def test_weights_of_other_names_cannot_be_compared(base: Base, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    renamed = {f"other.{name}": tensor for name, tensor in load_file(str(base.path / "model.safetensors")).items()}
    (tmp_path / "other").mkdir()
    save_file(renamed, str(tmp_path / "other" / "model.safetensors"), {"format": "pt"})
    with pytest.raises(TrainingError, match=r"no weight of the name and shape .*other\.model"):
        changed_share(base, tmp_path / "other")


def test_every_objective_has_its_share_of_every_stretch() -> None:
    rows = [(Objective.STYLE, 1.0)] * 10 + [(Objective.ROLE, 1.0)] * 40 + [(Objective.PLANNING, 0.5)] * 40
    recipe = a_recipe(mixture=MIX, epochs=2)
    order = mixture_order(rows, recipe)
    drawn = drawn_rows(rows, recipe)
    assert {each: (counts.drawn, counts.share) for each, counts in drawn.items()} == {
        Objective.STYLE: (20, 0.25), Objective.ROLE: (40, 0.5), Objective.PLANNING: (20, 0.25),
    }  # fmt: skip
    for start in range(0, len(order), 16):
        stretch = Counter(rows[index][0] for index in order[start : start + 16])
        assert stretch[Objective.ROLE] in (7, 8, 9) and stretch[Objective.STYLE] in (3, 4, 5)
    times = Counter(order)
    assert {times[index] for index in range(10)} == {2}, "the scarcest is used once an epoch"
    assert {times[index] for index in range(10, 50)} == {1}, "all rows are used before one is used again"
    assert order == mixture_order(rows, recipe) != mixture_order(rows, a_recipe(mixture=MIX, epochs=2, seed=1))


def test_the_losses_of_every_objective_are_logged(base: Base, tmp_path: Path) -> None:
    fit = fit_full(mixed_dataset(tmp_path / "d"), base, tmp_path / "o", a_recipe(mixture=MIX, epochs=2), silent)
    best = fit.best_step
    rows = [json.loads(line) for line in (tmp_path / "o" / "losses.jsonl").read_text().splitlines()]
    steps, evaluations = ([row for row in rows if name in row] for name in ("loss", "eval_loss"))
    for objective, _ in MIX:
        assert sum(f"loss_{objective.value}" in row for row in steps) > 1
        assert all(row[f"eval_loss_{objective.value}"] > 0 for row in evaluations)
        [kept] = [row[f"eval_loss_{objective.value}"] for row in evaluations if row["step"] == best]
        assert fit.objectives[objective].validation == kept
    one_step = steps[0]
    named = [one_step[name] for name in one_step if name.startswith("loss_")]
    assert min(named) - 1e-6 <= one_step["loss"] <= max(named) + 1e-6
    weighted = sum(share * evaluations[-1][f"eval_loss_{each.value}"] for each, share in MIX)
    assert evaluations[-1]["eval_loss"] == pytest.approx(weighted)
    assert "planning, validation" in (tmp_path / "o" / "loss.svg").read_text()
    assert Fit.model_validate_json(fit.model_dump_json()) == fit


@pytest.mark.parametrize("packing", [False, True])
def test_a_training_that_is_cut_short_reports_what_it_ran(base: Base, tmp_path: Path, packing: bool) -> None:
    """Three steps of two rows (six packs of one row or more), of a plan of many more; the first step is the best."""
    recipe = a_recipe(
        mixture=MIX, epochs=4, max_steps=3, checkpoint_steps=1, patience=9, learning_rate=0.5, packing=packing
    )
    fit = fit_full(mixed_dataset(tmp_path / "d"), base, tmp_path / "o", recipe, silent)
    drawn = {objective: each.drawn for objective, each in fit.objectives.items()}
    rows = [json.loads(line) for line in (tmp_path / "o" / "losses.jsonl").read_text().splitlines()]
    trained = {objective: sum(f"loss_{objective.value}" in row for row in rows) for objective, _ in MIX}
    assert fit.steps == 3 and {name for name, count in drawn.items() if count} == {n for n, c in trained.items() if c}
    assert sum(drawn.values()) == 6 if not packing else 3 <= sum(drawn.values()) <= 40
    for objective, each in fit.objectives.items():
        assert each.share == pytest.approx(drawn[objective] / sum(drawn.values()), abs=1e-4)
        [kept] = [row for row in rows if row["step"] == fit.best_step and "eval_loss" in row]
        assert each.validation == kept[f"eval_loss_{objective.value}"]
    assert fit.best_step < 3, "the last evaluation is not the best one's"


def test_logging_the_objectives_changes_nothing_of_the_training(base: Base, tmp_path: Path) -> None:
    """All rows are in each step, so that both trainings have the same ones, whatever order a mixture gives them."""
    dataset = write_dataset(tmp_path / "d", rows=6, target="scope")
    all_rows: dict[str, Any] = {"batch_size": 6, "epochs": 3}
    one = a_recipe(mixture=((Objective.ROLE, 1.0),), **all_rows)
    mixed = fit_full(dataset, base, tmp_path / "mixed", one, silent)
    plain = fit_full(dataset, base, tmp_path / "plain", a_recipe(**all_rows), silent)
    logged, unlogged = (
        [json.loads(line) for line in (tmp_path / name / "losses.jsonl").read_text().splitlines()]
        for name in ("mixed", "plain")
    )
    steps = [row for row in logged if "loss" in row]
    assert [row["loss_role"] for row in steps] == pytest.approx([row["loss"] for row in steps], rel=1e-5)
    assert not any("loss_role" in row for row in unlogged)
    assert mixed.objectives[Objective.ROLE].drawn == 18 and len(mixed.losses) == 3
    assert mixed.losses == pytest.approx(plain.losses, rel=1e-4) and mixed.losses[-1] < mixed.losses[0]
    assert mixed.eval_losses == pytest.approx(plain.eval_losses, rel=1e-4) and mixed.tokens == plain.tokens


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.training.test_full_fit import *
root = Path(sys.argv[1])
def kill(progress):
    if progress.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
fit_full(root / "d", Base("0" * 64, "tiny", Path(sys.argv[2]), None, None, {}), root / "killed",
         a_recipe(mixture=MIX, epochs=2), kill)
"""


def test_a_killed_mixture_goes_on_with_the_same_rows_losses_and_weights(half: Base, tmp_path: Path) -> None:
    dataset = mixed_dataset(tmp_path / "d")
    whole = fit_full(dataset, half, tmp_path / "whole", a_recipe(mixture=MIX, epochs=2), silent)
    killed = [sys.executable, "-c", _KILLED, tmp_path, half.path]
    done = subprocess.run(killed, cwd=Path(__file__).parents[2], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()[-2000:]
    assert [path.name for path in checkpoints(tmp_path / "killed" / "checkpoints")] == ["checkpoint-3"]
    fit = fit_full(dataset, half, tmp_path / "killed", a_recipe(mixture=MIX, epochs=2), silent)
    assert (fit.losses, fit.eval_losses, fit.objectives) == (whole.losses, whole.eval_losses, whole.objectives)
    files = [each.adapter_dir / "model.safetensors" for each in (fit, whole)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_an_objective_whose_rows_are_all_too_long_is_named(base: Base, tmp_path: Path) -> None:
    dataset = mixed_dataset(tmp_path / "d")
    records = [json.loads(line) for line in (dataset / "sft.jsonl").read_text().splitlines()]
    for record in records:
        if record["source"] == "fail-fast":
            record["completion"][0]["content"] *= 200
    with pytest.raises(TrainingError, match=r"objective style has no rows of at most training\.max_tokens = 512"):
        rewritten(dataset, "sft.jsonl", records)
        fit_full(dataset, base, tmp_path / "o", a_recipe(mixture=MIX), silent)


def test_a_loss_that_is_no_number_ends_it_and_a_full_disk_is_named(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = write_dataset(tmp_path / "d", rows=8)
    with pytest.raises(TrainingError, match=r"step \d of 4: the loss is nan|its gradient nan|lower the learning rate"):
        fit_full(dataset, base, tmp_path / "nan", a_recipe(learning_rate=1e30), silent)
    assert not (tmp_path / "nan" / "fit.json").exists()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("transformers.PreTrainedModel.save_pretrained", full)
        with pytest.raises(TrainingError, match=r"checkpoint-3 cannot be written \(no space left\)"):
            fit_full(dataset, base, tmp_path / "full", a_recipe(), silent)
    assert fit_full(dataset, base, tmp_path / "full", a_recipe(), silent).steps == 4
