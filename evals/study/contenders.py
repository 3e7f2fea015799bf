"""Contenders of the study: what classifies the candidates of a question.

ranking            by score and rank alone
first is relevant  the first candidate is relevant, the others are not
logistic           a multinomial logistic regression over what the ranking knows, fitted on training repositories
logistic, tuned    the same, with the threshold of `relevant` chosen on validation repositories
relevance          the relevance classifier in force, by its own operating point
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from evals.study.kinds import SCOPE, StudyKind
from evals.study.logistic import CLASSES, Logistic
from evals.study.questions import StudyQuestion
from models.context import Relevance, RelevanceEstimate
from models.relevance import OperatingPoint

RANKING = "ranking"
FIRST = "first is relevant"
LOGISTIC = "logistic"
TUNED = "logistic, tuned"
CLASSIFIER = "relevance"


@dataclass(frozen=True)
class Prediction:
    """A class, and the probability or other score by which candidates are sorted; None: only the class is known."""

    given: Relevance
    relevant: float | None = None


class Contender(Protocol):
    """What classifies candidates at once, without a language model."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def classify(self, question: StudyQuestion) -> Sequence[Prediction]:
        """A prediction for each candidate, in their order. Raises any CleanRoomError."""
        ...


@dataclass(frozen=True)
class RankingContender:
    """Classes as the kind of study has them by score and rank; sorted by score."""

    kind: StudyKind = SCOPE
    name: str = RANKING

    def classify(self, question: StudyQuestion) -> list[Prediction]:
        """By score and rank."""
        return [Prediction(found, score) for found, score in self.kind.by_rank(question.candidates)]


@dataclass(frozen=True)
class ClassifierContender:
    """The relevance classifier; where it did not estimate a candidate, that is irrelevant."""

    point: OperatingPoint
    kind: StudyKind = SCOPE
    name: str = CLASSIFIER

    def classify(self, question: StudyQuestion) -> list[Prediction]:
        """By the estimates that the questions hold."""
        estimates = [each.estimate or RelevanceEstimate(relevant=0, supporting=0) for each in question.candidates]
        classes = self.kind.by_estimates(estimates, self.point)
        return [Prediction(found, each.relevant) for found, each in zip(classes, estimates, strict=True)]


@dataclass(frozen=True)
class FirstContender:
    """The first candidate is relevant, the others are irrelevant; it has no probabilities."""

    name: str = FIRST

    def classify(self, question: StudyQuestion) -> list[Prediction]:
        """By place."""
        return [
            Prediction(Relevance.RELEVANT if place == 0 else Relevance.IRRELEVANT)
            for place in range(len(question.candidates))
        ]


@dataclass(frozen=True)
class LogisticContender:
    """A fitted logistic regression. With a threshold, a candidate is relevant if its probability reaches that;
    otherwise the likeliest class is taken."""

    model: Logistic
    threshold: float | None = None
    name: str = LOGISTIC

    def classify(self, question: StudyQuestion) -> list[Prediction]:
        """By the fitted probabilities."""
        return [self._prediction(row) for row in self.model.probabilities([question])]

    def _prediction(self, row: Mapping[Relevance, float]) -> Prediction:
        relevant = row[Relevance.RELEVANT]
        if self.threshold is None:
            return Prediction(max(CLASSES, key=lambda label: row[label]), relevant)
        if relevant >= self.threshold:
            return Prediction(Relevance.RELEVANT, relevant)
        others = (Relevance.SUPPORTING, Relevance.IRRELEVANT)
        return Prediction(max(others, key=lambda label: row[label]), relevant)


def threshold_for(model: Logistic, questions: Sequence[StudyQuestion], recall: float) -> float:
    """The largest probability at which at least that share of the relevant candidates is found.

    Raises ValueError without a relevant candidate among them.
    """
    rows = model.probabilities(questions)
    labels = [candidate.relevance for question in questions for candidate in question.candidates]
    found = sorted(
        (row[Relevance.RELEVANT] for row, label in zip(rows, labels, strict=True) if label is Relevance.RELEVANT),
        reverse=True,
    )
    if not found:
        raise ValueError("no validation question has a relevant candidate")
    wanted = -(-recall * len(found) // 1)  # rounded up
    return found[min(len(found), max(1, int(wanted))) - 1]
