"""A control's training as long as the adapter's: as many optimizer steps, over answers of like lengths."""

import json
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from llm.tokens import MESSAGE_FRAME
from models.chat import Message
from training.bases.chat_format import ChatFormat
from training.data.curation.card import SFT
from training.data.curation.counting import counter_of
from training.fit.backends import choose_backend
from training.fit.data import supervised_rows
from training.fit.job import TrainingJob
from training.fit.recipe import applied
from training.fit.schedule import planned_steps

if TYPE_CHECKING:
    from store.database import Engine


def lengths_of(dataset: Path, curated: "Engine", base: str) -> tuple[int, ...]:
    """Tokens of prompt and answer of each pair of a dataset, counted as curation counts them."""
    counter, _ = counter_of(curated, base)
    found = []
    for line in (dataset / SFT).read_text().splitlines():
        row = json.loads(line)
        prompt = counter.prompt([Message.model_validate(each) for each in row["prompt"]])
        found.append(prompt + counter.text(row["completion"][0]["content"]) + MESSAGE_FRAME)
    return tuple(found)


def of_steps(job: TrainingJob, steps: int) -> TrainingJob:
    """A supervised job that takes exactly so many optimizer steps: over more epochs where its rows are too few, without
    stopping early. Raises TrainingError if the dataset cannot be used."""
    used = applied(job.recipe, choose_backend(job.backend)).model_copy(update={"max_steps": None})
    rows = supervised_rows(job.dataset, ChatFormat.load(job.base.path, used.thinking), used).train
    epochs = used.epochs
    while (planned := planned_steps(rows, used.model_copy(update={"epochs": epochs}))) < steps:
        epochs = max(epochs + 1, ceil(epochs * steps / planned))
    never = steps + 1  # evaluations without a better one
    changed = job.recipe.model_copy(update={"epochs": epochs, "max_steps": steps, "patience": never})
    return replace(job, recipe=changed)
