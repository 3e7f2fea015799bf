"""Trains a LoRA adapter on judgements, one candidate per prompt.

Batches are groups of candidates of one task, whose common beginning is computed once. The loss is weighted by class
within a step (`training.fit.decisions.class_weights`).
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from evals.study.questions import StudyCandidate, StudyQuestion
from models.context import Relevance
from models.errors import TrainingError
from training.bases.shared_prefix import ROWS
from training.fit.decisions import class_weights
from training.pointwise.letters import LetterRow, LetterTraining
from training.pointwise.prompt import OPTIONS, candidate_prompt

FIT_VERSION = 2
"""Raised when the same data, base and recipe would give another adapter."""
GROUPS = 1
"""Groups of candidates per optimizer step: three of them, with as many steps less, left the loss where it began."""


class CandidateGroup(NamedTuple):
    """Candidates of one question."""

    question: StudyQuestion
    candidates: tuple[StudyCandidate, ...]

    def rows(self, weights: dict[Relevance, float]) -> list[LetterRow]:
        """The prompt about each candidate, with its letter and the weight of its class."""
        return [
            LetterRow(candidate_prompt(self.question, each), OPTIONS[each.relevance], weights[each.relevance])
            for each in self.candidates
        ]


def groups_of(data: Sequence[StudyQuestion], seed: int) -> list[CandidateGroup]:
    """All candidates that are learned from, in groups of at most `ROWS` of one question, in random order.

    The candidates of a question are dealt at random, so that no group holds only the best.
    """
    chance = random.Random(seed)
    groups = []
    for question in data:
        order = list(question.learned_from)
        chance.shuffle(order)
        groups += [CandidateGroup(question, tuple(order[start : start + ROWS])) for start in range(0, len(order), ROWS)]
    chance.shuffle(groups)
    return groups


@dataclass
class PointwiseTraining(LetterTraining):
    """A training on questions of the study."""

    def learn(self, data: Sequence[StudyQuestion]) -> None:
        """Train to the end. Raises TrainingError for data without a candidate, and as `run` does."""
        groups = groups_of(data, self.recipe.seed)
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
