"""How many rows of a class may be missed, and offsets that are chosen for a recall."""

import random
from itertools import count

import pytest
from scipy.stats import binom

from evals.recall_floor import RecallFloor, fewest_rows, most_misses
from evals.study.asked import Asked, Distribution, Questions, fit_offsets, judged
from evals.study.questions import StudyCandidate, StudyQuestion
from models.context import CandidateTier, Relevance
from models.errors import EvaluationError

LEAST = 0.85


@pytest.mark.parametrize("rows", [1, 14, 15, 21, 40, 105, 400])
@pytest.mark.parametrize("recall", [0.5, 0.85, 0.95])
def test_one_more_miss_would_be_likely_enough_below_the_goal(rows: int, recall: float) -> None:
    most = most_misses(rows, recall, 0.9)
    allowed = [missed for missed in range(rows + 1) if binom.cdf(missed, rows, 1 - recall) <= 0.1]
    assert most == (max(allowed) if allowed else None)


def test_the_fewest_rows_are_those_of_which_none_may_be_missed() -> None:
    assert fewest_rows(0.85) == 15 and most_misses(15, 0.85) == 0 and most_misses(14, 0.85) is None
    assert RecallFloor(1, 0.85).allowed([1] * 40 + [0] * 60) == most_misses(40, 0.85)
    assert RecallFloor(1, 0.85).allowed([0] * 60) is None


def sample(seed: int, questions: int) -> tuple[Asked, Questions]:
    """A model that tells relevant candidates from others, not without error, and seldom says that one is relevant."""
    generator = random.Random(seed)
    rows, answers = [], []
    for number in range(questions):
        labels = [Relevance.RELEVANT, *generator.choices([Relevance.SUPPORTING, Relevance.IRRELEVANT], (1, 3), k=8)]
        rows.append(question(number, labels))
        answers.append([distribution(generator, label) for label in labels])
    return {"dog": answers}, {"dog": rows}


def question(number: int, labels: list[Relevance]) -> StudyQuestion:
    ranks = count(1)
    candidates = [
        StudyCandidate(
            path=f"part{rank}.py", rank=rank, score=1 / rank, tier=CandidateTier.LEXICAL, reason="words",
            kind="production", symbols="", relevance=label, estimate=None,
        )
        for label, rank in zip(labels, ranks, strict=False)
    ]  # fmt: skip
    return StudyQuestion(repository="dog", commit=f"{number:040x}", task="Mend it", candidates=tuple(candidates))


def distribution(generator: random.Random, label: Relevance) -> Distribution:
    relevant = generator.uniform(0.05, 1.0) * (0.5 if label is Relevance.RELEVANT else 0.25)
    supporting = (1 - relevant) * (0.4 if label is Relevance.SUPPORTING else 0.1)
    return relevant, supporting, 1 - relevant - supporting


def recall(asked: Asked, questions: Questions, least: float | None, chosen_on: tuple[Asked, Questions]) -> float:
    offsets = fit_offsets(*chosen_on, least)
    found = [each for each in judged(asked, questions, offsets)["dog"] if each.expected == "relevant"]
    return sum(each.given == "relevant" for each in found) / len(found)


def test_a_recall_that_is_asked_for_holds_on_other_questions() -> None:
    fresh = sample(1000, 400)
    reached = [recall(*fresh, LEAST, sample(seed, 60)) >= LEAST for seed in range(20)]
    assert sum(reached) >= 16
    balanced = [recall(*fresh, None, sample(seed, 60)) for seed in range(20)]
    assert sum(each >= LEAST for each in balanced) < sum(reached)


def test_of_the_offsets_that_reach_it_those_with_the_best_balanced_accuracy_are_taken() -> None:
    found = fit_offsets(*sample(1, 60), LEAST)
    free = fit_offsets(*sample(1, 60))
    assert found.recall is not None and free.recall is not None
    assert found.recall >= 1 - 5 / 60 and found.least == LEAST and free.least is None
    assert free.balanced_accuracy >= found.balanced_accuracy > 1 / 3
    assert fit_offsets(*sample(1, 60), 0.3).values == free.values


def test_too_few_relevant_candidates_are_named_with_the_number_needed() -> None:
    with pytest.raises(EvaluationError, match="14 relevant candidates, and 15 are needed"):
        fit_offsets(*sample(1, 14), LEAST)
