"""Adapter files in PEFT's layout, byte-identical for the same weights."""

import json
import shutil
from pathlib import Path
from typing import Any

from models.errors import TrainingError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def write_adapter(model: Any, target: Path, base_name: str) -> None:
    """Write only the trained adapter of the model under `target`, atomically.

    The configuration contains the base's name instead of its path, and is sorted: PEFT writes sets in hash order.
    """
    staging = target.with_name(f".{target.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    model.save_pretrained(str(staging), selected_adapters=["default"], save_embedding_layers=False)
    config = json.loads((staging / CONFIG).read_text())
    config["base_model_name_or_path"] = base_name
    config["target_modules"] = sorted(config["target_modules"])
    (staging / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for file in staging.iterdir():
        if file.name not in (CONFIG, WEIGHTS):
            file.unlink()
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def read_adapter(model: Any, source: Path) -> None:
    """Load weights that `write_adapter` wrote into the model's trained adapter."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    result = set_peft_model_state_dict(model, load_file(str(source / WEIGHTS)), adapter_name="default")
    if result.unexpected_keys:
        raise TrainingError(f"{source}: holds {result.unexpected_keys[0]}, which the base lacks")


def require_effect(model: Any, ids: list[int], where: Path) -> None:
    """Raise TrainingError unless the adapter changes the logits of a row."""
    import torch

    tokens = torch.tensor([ids], device=model.device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        adapted = model(input_ids=tokens, logits_to_keep=1, use_cache=False).logits[0, -1]
        with model.disable_adapter():
            plain = model(input_ids=tokens, logits_to_keep=1, use_cache=False).logits[0, -1]
    model.train(was_training)
    if not bool((adapted - plain).abs().max() > 0):
        raise TrainingError(f"{where}: the adapter has no effect on the base; raise the learning rate or the epochs")
