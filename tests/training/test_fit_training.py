"""Trainings as they go: to their end, through a kill, a full disk, too little memory, and data that is no use."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from models.errors import TrainingError
from models.settings import Settings
from models.training import TrainingTarget
from models.training_settings import TrainingSettings
from tests.support.fitting_data import tiny_base, write_dataset
from training.bases import bf16
from training.bases.bases import Base
from training.bases.bf16 import computes_bf16
from training.fit.adapter import CONFIG, WEIGHTS
from training.fit.backends import choose_backend, load_base
from training.fit.fitting import Fit, Fitting, TrainingProgress, fit_dpo, fit_full, fit_sft
from training.fit.lock import target_lock
from training.fit.recipe import Method, Recipe, recipe_for
from training.fit.trainers import checkpoints
from training.pointwise.option_model import OptionModel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_base(tmp_path_factory.mktemp("fit") / "base")


def a_recipe(method: Method = "sft", **changes: Any) -> Recipe:
    settings = TrainingSettings(batch_size=2, epochs=1, checkpoint_steps=3, max_tokens=512)
    rate = {} if "learning_rate" in changes else {"learning_rate": 2e-3}
    return recipe_for(TrainingTarget.SCOPE, method, settings).model_copy(update=changes | rate)


def silent(progress: TrainingProgress) -> None:
    """A report of progress that is dropped."""


def test_an_adapter_is_trained_and_written_the_same_each_time(base: Base, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", rows=8, validation=2)
    told: list[TrainingProgress] = []
    fits = [fit_sft(dataset, base, tmp_path / out, a_recipe(), told.append) for out in ("a", "b")]
    fit = fits[0]
    assert (fit.backend, fit.steps, fit.rows, fit.too_long) == ("trl-cpu", 4, 8, 0)
    assert [progress.step for progress in told[:4]] == [1, 2, 3, 4] and told[3].remaining_seconds == 0
    assert told[3].tokens == fit.tokens > 0 and told[3].tokens_per_second > 0
    assert fit.losses[-1] < fit.losses[0] == told[0].loss
    assert fit.eval_losses and {change.field for change in fit.overrides} >= {"optimizer", "precision", "quantisation"}
    for name in (CONFIG, WEIGHTS):
        assert (fit.adapter_dir / name).read_bytes() == (fits[1].adapter_dir / name).read_bytes()
    assert sorted(file.name for file in fit.adapter_dir.iterdir()) == [CONFIG, WEIGHTS]
    assert json.loads((fit.adapter_dir / CONFIG).read_text())["base_model_name_or_path"] == "tiny"
    rows = [json.loads(line) for line in (tmp_path / "a" / "losses.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows if "loss" in row] == fit.losses
    assert (tmp_path / "a" / "loss.svg").read_text().startswith("<?xml")
    assert not (tmp_path / "a" / "checkpoints").exists()


@pytest.mark.skipif(not computes_bf16(), reason="this processor has no instructions for bf16")
def test_a_processor_that_computes_bf16_comes_to_nearly_the_same(base: Base, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", rows=4)
    exact = fit_sft(dataset, base, tmp_path / "exact", a_recipe(), silent)
    fast = fit_sft(dataset, base, tmp_path / "fast", a_recipe(cpu_bf16=True), silent)
    assert "precision" not in {change.field for change in fast.overrides}
    assert fast.losses != exact.losses and fast.losses == pytest.approx(exact.losses, abs=0.05)


def test_bf16_is_refused_where_the_processor_has_no_instructions_for_it(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bf16, "computes_bf16", lambda: False)
    with pytest.raises(TrainingError, match="CRA_TRAINING__CPU_BF16"):
        fit_sft(write_dataset(tmp_path / "d", rows=4), base, tmp_path / "o", a_recipe(cpu_bf16=True), silent)
    with pytest.raises(TrainingError, match="CRA_TRAINING__CPU_BF16"):
        OptionModel(Settings(training=TrainingSettings(cpu_bf16=True)), base, TrainingTarget.SCOPE, ("asked", 1))


def test_the_adapter_loads_with_peft_and_changes_what_the_base_says(base: Base, tmp_path: Path) -> None:
    from peft import PeftModel

    fit = fit_sft(write_dataset(tmp_path / "d", rows=4), base, tmp_path / "o", a_recipe(), silent)
    model = load_base(base, a_recipe(quantisation="none", precision="fp32"), "trl-cpu")
    tokens = torch.tensor([[5, 6, 7]])
    plain = model(tokens).logits
    assert not torch.equal(PeftModel.from_pretrained(model, str(fit.adapter_dir))(tokens).logits, plain)


def test_what_is_finished_is_not_done_again(base: Base, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", rows=4)
    fit = fit_sft(dataset, base, tmp_path / "o", a_recipe(), silent)
    told: list[TrainingProgress] = []
    assert fit_sft(dataset, base, tmp_path / "o", a_recipe(), told.append) == fit and not told
    with pytest.raises(TrainingError, match="holds another training"):
        fit_sft(dataset, base, tmp_path / "o", a_recipe(rank=8), silent)


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.training.test_fit_training import *
root = Path(sys.argv[1])
def kill(progress):
    if progress.step == 6:
        os.kill(os.getpid(), signal.SIGKILL)
fit_sft(root / "d", Base("0" * 64, "tiny", Path(sys.argv[2]), None, None, {}), root / "killed", a_recipe(), kill)
"""


def test_a_killed_training_goes_on_with_the_losses_that_it_would_have_had(base: Base, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", rows=16, validation=3)
    whole = fit_sft(dataset, base, tmp_path / "whole", a_recipe(), silent)
    killed = [sys.executable, "-c", _KILLED, tmp_path, base.path]
    done = subprocess.run(killed, cwd=Path(__file__).parents[2], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()[-2000:]
    assert [path.name for path in checkpoints(tmp_path / "killed" / "checkpoints")] == ["checkpoint-3"]
    told: list[TrainingProgress] = []
    fit = fit_sft(dataset, base, tmp_path / "killed", a_recipe(), told.append)
    assert told[0].step == 4
    assert fit.losses == whole.losses and fit.eval_losses == whole.eval_losses and fit.tokens == whole.tokens
    assert (fit.adapter_dir / WEIGHTS).read_bytes() == (whole.adapter_dir / WEIGHTS).read_bytes()


def a_fitting(base: Base, folder: Path, recipe: Recipe, dataset: Path) -> Fitting:
    """A training whose recipe no back end has changed."""
    from training.bases.chat_format import ChatFormat
    from training.fit.data import supervised_rows

    folder.mkdir()
    chat = ChatFormat.load(base.path)
    rows = supervised_rows(dataset, chat, recipe)
    return Fitting(base, folder, recipe, silent, "trl-cpu", None, chat, rows, ())


def plain(**changes: Any) -> Recipe:
    options = {"quantisation": "none", "precision": "fp32", "optimizer": "adamw_torch", "packing": False}
    return a_recipe(**(options | {"gradient_checkpointing": "no", "batch_size": 4, "micro_batch": 4} | changes))


def test_out_of_memory_is_answered_by_smaller_micro_batches_of_the_same_batch(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Qwen3Model

    dataset = write_dataset(tmp_path / "d", rows=16)
    whole = a_fitting(base, tmp_path / "whole", plain(), dataset).run()
    forward, sizes = Qwen3Model.forward, []

    def cramped(self: Any, input_ids: Any = None, *rest: Any, **named: Any) -> Any:
        sizes.append(len(input_ids))
        if len(input_ids) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, input_ids, *rest, **named)

    monkeypatch.setattr(Qwen3Model, "forward", cramped)
    fit = a_fitting(base, tmp_path / "cramped", plain(), dataset).run()
    assert sizes[:3] == [4, 2, 1] and fit.micro_batch == 1
    assert fit.steps == whole.steps == 4
    assert fit.losses == pytest.approx(whole.losses, abs=1e-4)


def test_a_row_that_does_not_fit_into_memory_is_an_error(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Qwen3Model

    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Qwen3Model, "forward", full)
    with pytest.raises(TrainingError, match=r"single row of up to 512 tokens .*training.max_tokens"):
        fit_sft(write_dataset(tmp_path / "d", rows=4), base, tmp_path / "o", a_recipe(), silent)


def test_packed_rows_are_learned_as_rows_of_their_own(base: Base, tmp_path: Path) -> None:
    """The first step's loss is the same: attention and positions keep packed rows apart."""
    dataset = write_dataset(tmp_path / "d", rows=8)
    apart = a_fitting(base, tmp_path / "apart", plain(batch_size=8, micro_batch=1), dataset).run()
    together = plain(batch_size=8, micro_batch=1, packing=True, max_tokens=1024)
    fit = a_fitting(base, tmp_path / "packed", together, dataset).run()
    assert (fit.steps, apart.steps) == (1, 1) and fit.tokens == apart.tokens
    assert fit.losses == pytest.approx(apart.losses, abs=1e-4)


_KILLED_AT_ITS_END = """
import os, signal, sys
from tests.training.test_fit_training import *
root = Path(sys.argv[1])
Fitting._finish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
base = Base("0" * 64, "tiny", Path(sys.argv[2]), None, None, {})
fit_sft(root / "d", base, root / "killed", a_recipe(**ENDS[sys.argv[3]]), silent)
"""
ENDS: dict[str, dict[str, Any]] = {
    "within an epoch": {"max_steps": 6},
    "stopped early": {"learning_rate": 2.0, "patience": 1, "epochs": 3, "warmup": 0.0, "checkpoint_steps": 1},
}


@pytest.mark.parametrize("end", ENDS)
def test_a_training_killed_after_its_last_step_takes_no_other(base: Base, tmp_path: Path, end: str) -> None:
    dataset = write_dataset(tmp_path / "d", rows=24, validation=4)
    whole = fit_sft(dataset, base, tmp_path / "whole", a_recipe(**ENDS[end]), silent)
    killed = [sys.executable, "-c", _KILLED_AT_ITS_END, tmp_path, base.path, end]
    done = subprocess.run(killed, cwd=Path(__file__).parents[2], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()[-2000:]
    assert checkpoints(tmp_path / "killed" / "checkpoints")[-1].name == f"checkpoint-{whole.steps}"
    told: list[TrainingProgress] = []
    fit = fit_sft(dataset, base, tmp_path / "killed", a_recipe(**ENDS[end]), told.append)
    assert not told
    assert (fit.steps, fit.best_step, fit.tokens) == (whole.steps, whole.best_step, whole.tokens)
    assert (fit.losses, fit.eval_losses) == (whole.losses, whole.eval_losses)
    assert (fit.adapter_dir / WEIGHTS).read_bytes() == (whole.adapter_dir / WEIGHTS).read_bytes()


def test_a_loss_that_is_no_number_ends_it_and_keeps_the_checkpoint(base: Base, tmp_path: Path) -> None:
    def spoil(progress: TrainingProgress) -> None:
        if progress.step == 4:
            import gc

            for thing in gc.get_objects():
                if isinstance(thing, torch.nn.Parameter) and thing.requires_grad:
                    thing.data.fill_(float("nan"))

    dataset = write_dataset(tmp_path / "d", rows=16)
    with pytest.raises(TrainingError, match=r"step 5 of 8: the loss is nan.*lower the learning rate"):
        fit_sft(dataset, base, tmp_path / "o", a_recipe(), spoil)
    assert [path.name for path in checkpoints(tmp_path / "o" / "checkpoints")] == ["checkpoint-3"]
    assert fit_sft(dataset, base, tmp_path / "o", a_recipe(), silent).steps == 8


def test_a_full_disk_ends_it_and_keeps_the_checkpoint_before(base: Base, tmp_path: Path) -> None:
    """The kernel refuses to write more than a part of a checkpoint."""
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(progress: TrainingProgress) -> None:
        if progress.step == 5:
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))

    dataset = write_dataset(tmp_path / "d", rows=16)
    try:
        with pytest.raises(TrainingError, match=r"checkpoint-6 cannot be written .*free some space"):
            fit_sft(dataset, base, tmp_path / "o", a_recipe(), fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in (tmp_path / "o" / "checkpoints").iterdir()) == ["checkpoint-3"]
    told: list[TrainingProgress] = []
    assert fit_sft(dataset, base, tmp_path / "o", a_recipe(), told.append).steps == 8
    assert told[0].step == 4


def test_it_stops_when_validation_gets_no_better_and_keeps_the_best(base: Base, tmp_path: Path) -> None:
    """At a rate that shakes the weights the validation loss rises sooner or later, by a processor's rounding."""
    recipe = a_recipe(learning_rate=2.0, patience=1, epochs=20, warmup=0.0)
    fit = fit_sft(write_dataset(tmp_path / "d", rows=24, validation=4), base, tmp_path / "o", recipe, silent)
    best = min(fit.eval_losses, key=lambda pair: pair[1])
    assert fit.steps < 240 and fit.best_step == best[0] < fit.steps


def test_preferences_begin_at_the_reference_and_part_from_it(base: Base, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", rows=8, pairs=8)
    start = fit_sft(dataset, base, tmp_path / "sft", a_recipe(), silent).adapter_dir
    for out, begin in (("from the base", None), ("from an adapter", start)):
        fit = fit_dpo(dataset, base, tmp_path / out, a_recipe("dpo"), begin, silent)
        assert fit.losses[0] == pytest.approx(0.6931, abs=1e-3), out  # log 2: nothing preferred yet
        assert fit.losses[-1] < fit.losses[0]
        assert sorted(file.name for file in fit.adapter_dir.iterdir()) == [CONFIG, WEIGHTS]
        assert (fit.adapter_dir / WEIGHTS).read_bytes() != (start / WEIGHTS).read_bytes()


def test_a_full_fine_tune_writes_a_base(base: Base, tmp_path: Path) -> None:
    from training.bases.chat_format import ChatFormat

    fit = fit_full(write_dataset(tmp_path / "d", rows=4), base, tmp_path / "o", a_recipe("full"), silent)
    tuned = Base("1" * 64, "tuned", fit.adapter_dir, None, None, {})
    model = load_base(tuned, a_recipe(quantisation="none", precision="fp32"), "trl-cpu")
    before = load_base(base, a_recipe(quantisation="none", precision="fp32"), "trl-cpu")
    weights = [m.model.layers[0].self_attn.q_proj.weight for m in (model, before)]
    assert not torch.equal(*weights)
    assert ChatFormat.load(fit.adapter_dir).end == "<|im_end|>"


def test_one_target_is_trained_once_at_a_time(base: Base, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "d", rows=4)
    with target_lock(tmp_path, "scope"), pytest.raises(TrainingError, match=f"scope is .* by process {os.getpid()};"):
        fit_sft(dataset, base, tmp_path / "o", a_recipe(), silent)
    with target_lock(tmp_path, "scope"), target_lock(tmp_path, "code"):
        pass


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: write_dataset(d, rows=0), "no rows to train on"),
        (lambda d: write_dataset(d, answer="yes"), "all answers are the same"),
        (lambda d: write_dataset(d, templates="0" * 16), "rendered by templates 0000000000000000, serving renders"),
        (lambda d: (write_dataset(d) / "sft.jsonl").write_text("{}"), "sft.jsonl is missing or was altered"),
        (lambda d: (write_dataset(d) / "card.json").unlink(), "no readable card.json"),
    ],
    ids=["empty", "one answer", "other templates", "altered", "no card"],
)
def test_data_that_is_no_use_is_refused(base: Base, tmp_path: Path, spoil: Any, message: str) -> None:
    spoil(tmp_path / "d")
    with pytest.raises(TrainingError, match=message):
        fit_sft(tmp_path / "d", base, tmp_path / "o", a_recipe(), silent)


def test_a_training_without_effect_is_refused(base: Base, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no effect on the base"):
        fit_sft(write_dataset(tmp_path / "d", rows=2), base, tmp_path / "o", a_recipe(learning_rate=1e-30), silent)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_library_trains_on_the_processor() -> None:
    assert choose_backend() == "trl-cpu"
    with pytest.raises(TrainingError, match="trl-gpu needs a GPU"):
        choose_backend("trl-gpu")


def test_a_fit_reads_back_as_it_was_written(base: Base, tmp_path: Path) -> None:
    fit = fit_sft(write_dataset(tmp_path / "d", rows=2), base, tmp_path / "o", a_recipe(), silent)
    assert Fit.model_validate_json(fit.model_dump_json()) == fit
