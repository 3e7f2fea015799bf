"""What another trainer (LLaMA-Factory) made of a pack's data, brought into the form of a training of ours.

Only weights are taken, and figures of its log; its configuration is compared and written anew.
"""

import json
import shutil
from pathlib import Path

from exchange.outsource.layout import PackManifest
from models.errors import UsageError
from training.bases.bases import Base
from training.bases.files import read_json
from training.fit.adapter import CONFIG, WEIGHTS
from training.fit.fitting import Fit
from training.fit.returned import TRAINED, adapter_config

_LOG = "trainer_state.json"
_NAMES = {"r": "lora_rank", "lora_alpha": "lora_alpha", "target_modules": "lora_target", "use_rslora": "use_rslora"}
"""The trainer's names of keys of an adapter's configuration, where they are others or it has an option of that name."""
_ITS_OWN = frozenset({"peft_version", "base_model_name_or_path", "inference_mode"})
"""Keys that say nothing of what was trained."""


def take_foreign(manifest: PackManifest, base: Base, trained: Path, out: Path) -> Fit:
    """The result of another trainer's run in `trained`, copied into `out`. Raises UsageError if it is of another
    recipe, or there is none."""
    target = out / "adapter"
    shutil.rmtree(out, ignore_errors=True)
    target.mkdir(parents=True)
    if manifest.adapter:
        _take_adapter(manifest, base, trained, target)
    else:
        _take_base(trained, target)
    log = read_json(trained / _LOG) if (trained / _LOG).is_file() else {}
    rows = [row for row in log.get("log_history", []) if isinstance(row, dict)]
    losses = [float(row["loss"]) for row in rows if "loss" in row]
    return Fit(
        adapter_dir=target,
        backend=manifest.backend,
        steps=int(log.get("global_step", len(losses))),
        best_step=int(log.get("global_step", len(losses))),
        tokens=0,
        seconds=float(next((row["train_runtime"] for row in rows if "train_runtime" in row), 0.0)),
        rows=0,
        too_long=0,
        micro_batch=manifest.recipe.micro_batch,
        losses=losses,
        eval_losses=[(int(row["step"]), float(row["eval_loss"])) for row in rows if "eval_loss" in row],
        overrides=manifest.overrides,
    )


def _take_adapter(manifest: PackManifest, base: Base, trained: Path, target: Path) -> None:
    from peft import LoraConfig

    found, wanted = read_json(trained / CONFIG), adapter_config(manifest.recipe, base.name)
    plain = LoraConfig().to_dict()  # what a key says that another version of PEFT did not write
    for key in sorted((found.keys() | wanted.keys()) - _ITS_OWN):
        value, asked = found.get(key, plain.get(key)), wanted.get(key)
        if key == "target_modules" and isinstance(value, list):
            value = sorted(value, key=str)
        if value != asked and (value or asked):
            name = _NAMES.get(key, key)
            raise UsageError(
                f"{trained / CONFIG}: {key} is {value!a}, and the pack asks for {name} = {asked!a}; train so"
            )
    if not (trained / WEIGHTS).is_file():
        raise UsageError(f"{trained} has no {WEIGHTS}; save the adapter as safetensors")
    shutil.copyfile(trained / WEIGHTS, target / WEIGHTS)
    (target / CONFIG).write_text(json.dumps(wanted, indent=2, sort_keys=True) + "\n")


def _take_base(trained: Path, target: Path) -> None:
    files = [file for file in sorted(trained.iterdir()) if file.suffix == ".safetensors" or file.name in TRAINED]
    if not any(file.suffix == ".safetensors" for file in files):
        raise UsageError(f"{trained} has no weights as safetensors; save the model so")
    for file in files:
        shutil.copyfile(file, target / file.name)
