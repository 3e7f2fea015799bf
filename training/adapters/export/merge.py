"""An adapter merged into its base: plain weights in Hugging Face's layout, for servers without adapters."""

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from models.errors import TrainingError
from training.adapters.export.layout import read_json
from training.adapters.registry.weights import content_hash as adapter_hash
from training.bases.files import MERGED

_KEPT = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")
MergedPrecision = Literal["bf16", "f32"]


def open_adapted(base_dir: Path, adapter_dir: Path) -> Any:
    """PEFT's model in float32 on the CPU, for comparison or merging. Raises TrainingError if the two do not fit."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    read_json(base_dir / "config.json")
    read_json(adapter_dir / "adapter_config.json")
    try:
        base = AutoModelForCausalLM.from_pretrained(base_dir, dtype=torch.float32, local_files_only=True)
        return PeftModel.from_pretrained(base, adapter_dir).eval()
    except (
        OSError,
        ValueError,
        RuntimeError,
        KeyError,
    ) as error:  # what the two libraries raise for files that do not fit
        reason = str(error).strip().splitlines()
        message = reason[0] if reason else type(error).__name__
        raise TrainingError(
            f"{adapter_dir} cannot be loaded on {base_dir} ({message}); was it trained on that base?"
        ) from error


def merge(base_dir: Path, adapter_dir: Path, out: Path, *, precision: MergedPrecision = "bf16") -> Path:
    """Write base plus adapter as merged weights into `out`; returns `out`.

    The sum is computed in float32. Never train on the result: adapters are trained from the frozen base, and a note in
    config.json makes training refuse it. Raises TrainingError if the two do not fit.
    """
    import torch

    merged = open_adapted(base_dir, adapter_dir).merge_and_unload(safe_merge=True)
    out.mkdir(parents=True, exist_ok=True)
    merged.to(torch.bfloat16 if precision == "bf16" else torch.float32).save_pretrained(out)
    config = read_json(out / "config.json") | {MERGED: adapter_hash(adapter_dir)}
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    for name in _KEPT:
        if (base_dir / name).is_file():
            shutil.copyfile(base_dir / name, out / name)
    return out
