"""Trains a LoRA adapter on judgements, one candidate per prompt.

Batches are groups of candidates of one task, whose common beginning is computed once. The loss is the cross-entropy of
the letter over the whole vocabulary, weighted by class within a step (`training.fit.decisions.class_weights`). Given
the same data, base, recipe and machine, a stopped training goes on from its last checkpoint with the same losses.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from evals.study.questions import StudyCandidate, StudyQuestion
from host.private import make_directory
from models.context import Relevance
from models.errors import TrainingError
from models.plans import Frozen
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.bases.shared_prefix import ROWS, SharedPrompts, next_token_logits, share
from training.fit.adapter import write_adapter
from training.fit.backends import add_adapter, choose_backend, load_base
from training.fit.decisions import class_weights
from training.fit.recipe import Recipe
from training.fit.trainers import unwritable
from training.pointwise.checkpoint import CHECKPOINT, Training, read_checkpoint, write_checkpoint
from training.pointwise.prompt import OPTIONS, candidate_prompt

FIT_VERSION = 2
"""Raised when the same data, base and recipe would give another adapter."""
GROUPS = 1
"""Groups of candidates per optimizer step: three of them, with as many steps less, left the loss where it began."""
WARMUP = 0.1
"""Share of the steps in which the learning rate rises."""
CHECKPOINT_STEPS = 20
FIT = "fit.json"


class Group(NamedTuple):
    """Candidates of one question."""

    question: StudyQuestion
    candidates: tuple[StudyCandidate, ...]


class PointwiseFit(Frozen):
    """A finished training: loss of each step, weight of each class, CPU seconds of all its runs, tokens computed, and
    tokens that there would be without common beginnings."""

    rows: int
    losses: tuple[float, ...]
    weights: dict[str, float]
    cpu_seconds: float
    tokens: int
    whole_tokens: int


def groups_of(data: Sequence[StudyQuestion], seed: int) -> list[Group]:
    """All candidates in groups of at most `ROWS` of one question, in random order.

    The candidates of a question are dealt at random, so that no group holds only the best.
    """
    chance = random.Random(seed)
    groups = []
    for question in data:
        order = list(question.candidates)
        chance.shuffle(order)
        groups += [Group(question, tuple(order[start : start + ROWS])) for start in range(0, len(order), ROWS)]
    chance.shuffle(groups)
    return groups


@dataclass
class PointwiseTraining:
    """A training in the folder `path`; `progress` is called with the steps done and their number."""

    base: Base
    recipe: Recipe
    chat: ChatFormat
    path: Path
    progress: Callable[[int, int], None]

    def run(self, data: Sequence[StudyQuestion]) -> None:
        """Train to the end; write the adapter, then the fit. Raises TrainingError for data without a candidate, or a
        loss that is not finite."""
        groups = groups_of(data, self.recipe.seed)
        steps = [groups[start : start + GROUPS] for start in range(0, len(groups), GROUPS)]
        if not steps:
            raise TrainingError("the training questions hold no candidate; give other repositories")
        make_directory(self.path)
        counts = Counter(candidate.relevance for group in groups for candidate in group.candidates)
        weights = self._weights(counts)
        backend = choose_backend()
        model = add_adapter(load_base(self.base, self.recipe, backend), self.recipe, backend).train()
        training = Training.begin(model, self.recipe, len(steps), int(len(steps) * WARMUP))
        read_checkpoint(self.path, training)
        while training.done < len(steps):
            begun = time.process_time()
            loss, tokens, whole = self._step(training, steps[training.done], weights)
            training.note(loss, tokens, whole, time.process_time() - begun)
            self.progress(training.done, len(steps))
            if training.done % CHECKPOINT_STEPS == 0 and training.done < len(steps):
                write_checkpoint(self.path, training)
        try:
            self._finish(training, sum(counts.values()), weights)
        except OSError as error:
            raise unwritable(self.path, error) from error

    def _weights(self, counts: Counter[Relevance]) -> dict[Relevance, float]:
        recipe = self.recipe
        by_name = class_weights(
            {each.value: n for each, n in counts.items()}, recipe.class_balance, recipe.class_beta, recipe.class_cap
        )
        return {Relevance(name): weight for name, weight in by_name.items()}

    def _step(
        self, training: Training, groups: Sequence[Group], weights: dict[Relevance, float]
    ) -> tuple[float, int, int]:
        """One optimizer step: its mean loss, the tokens computed, and the tokens of the whole prompts."""
        import torch

        model = training.model
        total = sum(weights[each.relevance] for group in groups for each in group.candidates)
        mean, tokens, whole = 0.0, 0, 0
        for group in groups:
            prompts = self._prompts(group)
            letters = torch.tensor([self._letter(each) for each in group.candidates], device=model.device)
            factors = torch.tensor([weights[each.relevance] for each in group.candidates], device=model.device)
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

    def _prompts(self, group: Group) -> SharedPrompts:
        rows = [
            self.chat.prompt_ids([each.model_dump() for each in candidate_prompt(group.question, candidate)])
            for candidate in group.candidates
        ]
        return share(rows)

    def _letter(self, candidate: StudyCandidate) -> int:
        return int(self.chat.encoder.ids(OPTIONS[candidate.relevance])[0])

    def _finish(self, training: Training, rows: int, weights: dict[Relevance, float]) -> None:
        write_adapter(training.model, self.path / "adapter", self.base.name)
        fit = PointwiseFit(
            rows=rows,
            losses=tuple(training.losses),
            weights={each.value: weight for each, weight in sorted(weights.items())},
            cpu_seconds=training.cpu_seconds,
            tokens=training.tokens,
            whole_tokens=training.whole_tokens,
        )
        part = self.path / f".{FIT}"
        part.write_text(fit.model_dump_json(indent=1) + "\n")
        part.replace(self.path / FIT)
        (self.path / CHECKPOINT).unlink(missing_ok=True)
