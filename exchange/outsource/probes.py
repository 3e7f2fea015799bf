"""Losses of a few rows under the trained weights, in float32: computed where they were trained, and again where they
are accepted. Equal losses show that the weights that came back are those that were measured, for every target."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from exchange.outsource.layout import first_fault
from models.errors import TrainingError, UsageError
from models.plans import Frozen
from training.bases.chat_format import ChatFormat
from training.fit.data import IGNORED, PreferenceRow, TrainingRow, preference_rows, supervised_rows
from training.fit.recipe import Recipe

MOST = 16
"""Rows that are probed: of those to validate with, or without any of those to train on."""


class Probe(Frozen):
    """The mean loss (nats per token) of a row's answer; of a preference, of the chosen one."""

    id: str
    loss: float = Field(allow_inf_nan=False)


def probe_rows(dataset: Path, base: Path, recipe: Recipe) -> list[TrainingRow]:
    """The rows to probe, the same for the same dataset, base and recipe. Raises TrainingError as trainings do."""
    chat = ChatFormat.load(base, recipe.thinking)
    rows = (preference_rows if recipe.method == "dpo" else supervised_rows)(dataset, chat, recipe)
    chosen = sorted(rows.validation or rows.train, key=lambda row: hashlib.sha256(row.id.encode()).digest())
    return [_supervised(row) for row in chosen[:MOST]]


def losses_of(model: Any, rows: Sequence[TrainingRow]) -> list[Probe]:
    """The losses of rows under a model, each by itself. Raises TrainingError where one is not finite."""
    from training.fit.decision_scores import score_decisions

    found = []
    for row in rows:
        loss = score_decisions(model, [row], {}).loss
        if not math.isfinite(loss):
            raise TrainingError(f"row {row.id[:12]} has a loss of {loss} under the trained weights; train again")
        found.append(Probe(id=row.id, loss=round(loss, 6)))
    return found


def open_trained(base: Path, trained: Path, *, adapter: bool) -> Any:
    """The trained model in float32: a base with an adapter, or a whole base; on the GPU if there is one."""
    import torch

    from training.quiet import quiet_libraries

    with quiet_libraries():
        if adapter:
            from training.adapters.export.merge import open_adapted

            model = open_adapted(base, trained)
        else:
            from transformers import AutoModelForCausalLM

            model = AutoModelForCausalLM.from_pretrained(
                str(trained), dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
            ).eval()
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def read_probes(file: Path) -> list[Probe]:
    """The probes in a returned file. Raises UsageError if a line is none."""
    try:
        return [Probe.model_validate_json(line) for line in file.read_bytes().split(b"\n") if line]
    except ValidationError as error:
        raise UsageError(f"{file.name}: a line is no loss ({first_fault(error)}); let run.py evaluate again") from error


def _supervised(row: TrainingRow | PreferenceRow) -> TrainingRow:
    if isinstance(row, TrainingRow):
        return row
    labels = [IGNORED] * len(row.prompt) + row.chosen
    return TrainingRow(row.id, row.weight, row.prompt + row.chosen, labels)
