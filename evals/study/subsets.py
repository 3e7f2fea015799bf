"""Subsets of the training questions, for the points of a learning curve."""

import random
from collections.abc import Sequence

from evals.study.questions import StudyQuestion
from models.context import Relevance


def thinned(data: Sequence[StudyQuestion], negatives: float, seed: int) -> list[StudyQuestion]:
    """The questions, with each irrelevant candidate learned from with a probability of `negatives`, others always.

    As the rate is the same for all questions, this case-control sampling changes a logistic model's intercept alone
    (Prentice and Pyke, 1979), and not how it sorts. Questions of which nothing is left are left out.
    """
    if negatives == 1:
        return list(data)
    found = [_thinned(question, negatives, seed) for question in data]
    return [question for question in found if question.indices]


def _thinned(question: StudyQuestion, negatives: float, seed: int) -> StudyQuestion:
    chance = random.Random(f"{seed} {question.repository} {question.subject}")
    draws = [chance.random() < negatives for _ in question.candidates]
    taken = [
        number
        for number, (each, drawn) in enumerate(zip(question.candidates, draws, strict=True))
        if drawn or each.relevance is not Relevance.IRRELEVANT
    ]
    return question.model_copy(update={"taken": tuple(taken)})


def draw(data: Sequence[StudyQuestion], rows: int, seed: int) -> list[StudyQuestion]:
    """Questions in random order until at least `rows` candidates are learned from, in their first order again."""
    order = list(range(len(data)))
    random.Random(seed).shuffle(order)
    drawn, total = [], 0
    for number in order:
        if total >= rows:
            break
        drawn.append(number)
        total += len(data[number].indices)
    return [data[number] for number in sorted(drawn)]
