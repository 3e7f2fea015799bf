"""Trains a LoRA adapter to answer prompts with one letter: the loss is on that token alone.

A step is a sequence of groups, each of prompts that begin alike, whose common beginning is computed once. The loss is
the cross-entropy of the letter over the whole vocabulary, weighted by row within a step. Given the same rows, base,
recipe and machine, a stopped training goes on from its last checkpoint with the same losses.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from host.private import make_directory
from models.chat import Message
from models.errors import TrainingError
from models.plans import Frozen
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.bases.shared_prefix import next_token_logits, share
from training.fit.adapter import write_adapter
from training.fit.backends import add_adapter, choose_backend, load_base
from training.fit.recipe import Recipe
from training.fit.trainers import unwritable
from training.pointwise.checkpoint import CHECKPOINT, Training, read_checkpoint, write_checkpoint

WARMUP = 0.1
"""Share of the steps in which the learning rate rises."""
CHECKPOINT_STEPS = 20
FIT = "fit.json"


class LetterRow(NamedTuple):
    """A prompt, the letter that answers it, and the row's weight in the loss of its step."""

    messages: Sequence[Message]
    letter: str
    weight: float


Group = Sequence[LetterRow]
Step = Sequence[Group]


class LetterFit(Frozen):
    """A finished training: loss of each step, weight of each class, CPU seconds of all its runs, tokens computed, and
    tokens that there would be without common beginnings."""

    rows: int
    losses: tuple[float, ...]
    weights: dict[str, float]
    cpu_seconds: float
    tokens: int
    whole_tokens: int


@dataclass
class LetterTraining:
    """A training in the folder `path`; `progress` is called with the steps done and their number."""

    base: Base
    recipe: Recipe
    chat: ChatFormat
    path: Path
    progress: Callable[[int, int], None]

    def run(self, steps: Sequence[Step], weights: Mapping[str, float]) -> None:
        """Train to the end; write the adapter, then the fit with `weights` on record. Raises TrainingError without a
        step, or for a loss that is not finite."""
        if not steps:
            raise TrainingError("there is nothing to train on; give other repositories")
        make_directory(self.path)
        backend = choose_backend()
        model = add_adapter(load_base(self.base, self.recipe, backend), self.recipe, backend).train()
        training = Training.begin(model, self.recipe, len(steps), int(len(steps) * WARMUP))
        read_checkpoint(self.path, training)
        while training.done < len(steps):
            begun = time.process_time()
            loss, tokens, whole = self._step(training, steps[training.done])
            training.note(loss, tokens, whole, time.process_time() - begun)
            self.progress(training.done, len(steps))
            if training.done % CHECKPOINT_STEPS == 0 and training.done < len(steps):
                write_checkpoint(self.path, training)
        try:
            self._finish(training, sum(len(group) for step in steps for group in step), weights)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def _step(self, training: Training, groups: Step) -> tuple[float, int, int]:
        """One optimizer step: its mean loss, the tokens computed, and the tokens of the whole prompts."""
        import torch

        model = training.model
        total = sum(row.weight for group in groups for row in group)
        mean, tokens, whole = 0.0, 0, 0
        for group in groups:
            prompts = share([self.chat.prompt_ids([each.model_dump() for each in row.messages]) for row in group])
            letters = torch.tensor([int(self.chat.encoder.ids(row.letter)[0]) for row in group], device=model.device)
            factors = torch.tensor([row.weight for row in group], device=model.device)
            logits = next_token_logits(model, prompts, self.chat.pad_id, half=self.recipe.precision == "bf16")
            losses = torch.nn.functional.cross_entropy(logits, letters, reduction="none")
            loss = (losses * factors).sum() / total
            loss.backward()
            mean += float(loss.detach())
            tokens += prompts.tokens
            whole += prompts.tokens + len(prompts.prefix) * (len(prompts.rests) - 1)
        norm = float(torch.nn.utils.clip_grad_norm_(training.trained, self.recipe.max_gradient))
        if not (math.isfinite(norm) and math.isfinite(mean)):
            raise TrainingError(
                f"{self.path}: step {training.done + 1} has a loss of {mean} with a gradient of {norm}; another seed, "
                "or a base whose weights are finite, may help"
            )
        training.optimizer.step()
        training.optimizer.zero_grad()
        return mean, tokens, whole

    def _finish(self, training: Training, rows: int, weights: Mapping[str, float]) -> None:
        write_adapter(training.model, self.path / "adapter", self.base.name)
        fit = LetterFit(
            rows=rows,
            losses=tuple(training.losses),
            weights=dict(weights),
            cpu_seconds=training.cpu_seconds,
            tokens=training.tokens,
            whole_tokens=training.whole_tokens,
        )
        part = self.path / f".{FIT}"
        part.write_text(fit.model_dump_json(indent=1) + "\n")
        part.replace(self.path / FIT)
        (self.path / CHECKPOINT).unlink(missing_ok=True)
