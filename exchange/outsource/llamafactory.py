"""A pack's data and recipe in the form of LLaMA-Factory: `dataset_info.json`, rows in its OpenAI-like form of sharegpt,
and the YAML of one training. Its trainer knows no weights: neither of rows in sampling nor of tokens in the loss."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from exchange.outsource.layout import BASE, SAVED
from training.data.curation.card import DPO, SFT
from training.fit.recipe import Recipe
from training.fit.watched import stopping_rows

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
"""All tags are named: those left out would be none, where any is given."""
_OPTIMIZERS = {"adamw_8bit": "adamw_8bit", "adamw_torch": "adamw_torch"}


def write_llamafactory(folder: Path, dataset: Path, recipe: Recipe) -> None:
    """Write the folder for a dataset and a recipe: rows to train on and to validate with, by name `train` and
    `validation`."""
    folder.mkdir()
    preferences = recipe.method == "dpo"
    source = dataset / (DPO if preferences else SFT)
    described: dict[str, Any] = {}
    for split in ("train", "validation"):
        rows = list(_rows(source, split, recipe))
        if rows:
            file = folder / f"{split}.jsonl"
            file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
            described[split] = _description(file.name, preferences=preferences)
    (folder / "dataset_info.json").write_text(json.dumps(described, indent=1, sort_keys=True) + "\n")
    text = yaml.safe_dump(_arguments(recipe, folder.name, validation="validation" in described), sort_keys=False)
    (folder / "train.yaml").write_text(text)


def _rows(source: Path, split: str, recipe: Recipe) -> Iterator[dict[str, Any]]:
    with source.open(encoding="utf-8") as lines:
        records = [record for record in map(json.loads, lines) if record["split"] == split]
        if split == "validation" and recipe.watch == "half":
            watched = stopping_rows(records)
            records = [each for each in records if each["id"] in watched]
        for record in records:
            if recipe.method == "dpo":
                [chosen], [rejected] = record["chosen"], record["rejected"]
                yield {"messages": record["prompt"], "chosen": chosen, "rejected": rejected}
            else:
                yield {"messages": [*record["prompt"], *record["completion"]]}


def _description(file: str, *, preferences: bool) -> dict[str, Any]:
    columns = {"messages": "messages"} | ({"chosen": "chosen", "rejected": "rejected"} if preferences else {})
    found: dict[str, Any] = {"file_name": file, "formatting": "sharegpt", "columns": columns, "tags": _TAGS}
    return found | ({"ranking": True} if preferences else {})


def _arguments(recipe: Recipe, folder: str, *, validation: bool) -> dict[str, Any]:
    """The arguments of a training. No `template`: the base's own chat template is read from its folder."""
    full = recipe.method == "full"
    method: dict[str, Any] = {"stage": "dpo" if recipe.method == "dpo" else "sft", "do_train": True}
    method |= {"finetuning_type": "full"} if full else _lora(recipe)
    if recipe.method == "dpo":
        method |= {"pref_beta": recipe.beta, "pref_loss": "sigmoid", "pref_ftx": recipe.rpo_alpha}
    trained: dict[str, Any] = {
        "per_device_train_batch_size": recipe.micro_batch,
        "gradient_accumulation_steps": max(1, recipe.batch_size // recipe.micro_batch),
        "learning_rate": recipe.learning_rate,
        "num_train_epochs": float(recipe.epochs),
        "lr_scheduler_type": "cosine",
        "warmup_ratio": recipe.warmup,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_gradient,
        "optim": _OPTIMIZERS[recipe.optimizer],
        "bf16": recipe.precision == "bf16",
        "seed": recipe.seed,
        "packing": recipe.packing and recipe.method != "dpo",
        "logging_steps": 1,
        "save_steps": recipe.checkpoint_steps,
        "report_to": "none",
        "output_dir": f"{folder}/{SAVED}",
    }
    if trained["packing"]:
        trained["neat_packing"] = True  # rows of a pack do not see each other
    if recipe.max_steps is not None:
        trained["max_steps"] = recipe.max_steps
    data = {"dataset_dir": folder, "dataset": "train", "cutoff_len": recipe.max_tokens}
    if recipe.thinking is not None:
        data["enable_thinking"] = recipe.thinking
    if validation:
        trained |= {"eval_strategy": "epoch", "per_device_eval_batch_size": recipe.micro_batch}
        data["eval_dataset"] = "validation"
    return {"model_name_or_path": BASE, "trust_remote_code": False, **method, **data, **trained}


def _lora(recipe: Recipe) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "finetuning_type": "lora",
        "lora_rank": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "lora_target": ",".join(recipe.modules),
    }
    if recipe.quantisation == "nf4-double":
        chosen |= {"quantization_bit": 4, "quantization_type": "nf4", "double_quantization": True}
    return chosen
