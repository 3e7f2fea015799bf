"""Trains a LoRA adapter on judgements, a prompt for each candidate.

Batches are groups of candidates of one task, or of one list, whose common beginning is computed once. The loss is
weighted by class within a step (`training.fit.decisions.class_weights`).
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from evals.study.questions import StudyCandidate, StudyQuestion
from models.context import Relevance
from models.errors import TrainingError
from training.bases.shared_prefix import ROWS
from training.fit.decisions import class_weights
from training.pointwise.letters import LetterRow, LetterTraining
from training.pointwise.prompt import OPTIONS, listed_prompts, slice_of

FIT_VERSION = 2
"""Raised when the same data, base and recipe would give another adapter."""
GROUPS = 1
"""Groups of candidates per optimizer step: three of them, with as many steps less, left the loss where it began."""


class CandidateGroup(NamedTuple):
    """Candidates of one question, by number from 0; each prompt shows so many (`listed_prompts`)."""

    question: StudyQuestion
    numbers: tuple[int, ...]
    shown: int = 1

    @property
    def candidates(self) -> tuple[StudyCandidate, ...]:
        """What is asked about."""
        return tuple(self.question.candidates[number] for number in self.numbers)

    def rows(self, weights: dict[Relevance, float]) -> list[LetterRow]:
        """The prompt about each candidate, with its letter and the weight of its class."""
        prompts = listed_prompts(self.question, self.numbers, self.shown)
        return [
            LetterRow(prompt, OPTIONS[each.relevance], weights[each.relevance])
            for prompt, each in zip(prompts, self.candidates, strict=True)
        ]


def groups_of(data: Sequence[StudyQuestion], seed: int, shown: int = 1) -> list[CandidateGroup]:
    """All candidates that are learned from, in groups of at most `ROWS` of one question, in random order.

    Where a prompt shows one, the candidates of a question are dealt at random, so that no group holds only the best;
    otherwise a group is of one list.
    """
    chance = random.Random(seed)
    groups = []
    for question in data:
        order = list(question.indices)
        if shown == 1:
            chance.shuffle(order)
            lists = [order]
        else:
            lists = [list(numbers) for _, numbers in groupby(sorted(order), lambda number: slice_of(number, shown))]
        for numbers in lists:
            cut = [numbers[start : start + ROWS] for start in range(0, len(numbers), ROWS)]
            groups += [CandidateGroup(question, tuple(each), shown) for each in cut]
    chance.shuffle(groups)
    return groups


@dataclass
class PointwiseTraining(LetterTraining):
    """A training on questions of the study, with so many candidates in a prompt (`listed_prompts`)."""

    shown: int = 1

    def learn(self, data: Sequence[StudyQuestion]) -> None:
        """Train to the end. Raises TrainingError for data without a candidate, and as `run` does."""
        groups = groups_of(data, self.recipe.seed, self.shown)
        if not groups:
            raise TrainingError("the training questions hold no candidate; give other repositories")
        weights = self._weights(Counter(each.relevance for group in groups for each in group.candidates))
        rows = [group.rows(weights) for group in groups]
        steps = [rows[start : start + GROUPS] for start in range(0, len(rows), GROUPS)]
        self.run(steps, {each.value: weight for each, weight in sorted(weights.items())})

    def _weights(self, counts: Counter[Relevance]) -> dict[Relevance, float]:
        recipe = self.recipe
        by_name = class_weights(
            {each.value: n for each, n in counts.items()}, recipe.class_balance, recipe.class_beta, recipe.class_cap
        )
        return {Relevance(name): weight for name, weight in by_name.items()}
