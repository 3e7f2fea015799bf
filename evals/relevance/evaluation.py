"""How good a relevance classifier is on repositories: classes, probabilities, and the order of files."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from agent.retrieve.relevance.classifier import least_relevant
from agent.retrieve.relevance.features import PRODUCTION_FEATURES, SYMBOL_FEATURES
from evals.relevance.fitting import candidate_chances, probabilities
from evals.relevance.metrics import Bin, ClassFigures, class_figures, reliability
from evals.relevance.questions import LabelledQuestion
from evals.retrieval import MeanScores, RankingScores
from models.relevance import ClassifierFile

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RepositoryFigures:
    """One repository: figures of its candidate files, of the symbols in files that gold keeps, and of the orders of
    production files by the ranking, by the classifier's P(relevant), and by BM25."""

    name: str
    questions: int
    files: float
    candidates: ClassFigures
    symbols: ClassFigures | None
    ranking: MeanScores
    classifier: MeanScores
    baseline: MeanScores


@dataclass(frozen=True)
class Judged:
    """Rows of candidates or symbols: probabilities rows x classes, the class chosen, the right one."""

    chances: Array
    chosen: Ints
    labels: Ints

    def figures(self) -> ClassFigures:
        """Their figures."""
        return class_figures(self.chances, self.chosen, self.labels)

    def reliability(self) -> list[Bin]:
        """Predictions of the class that matters beside what came true."""
        last = self.chances.shape[1] - 1
        return reliability(self.chances[:, last], self.labels == last)


def repository_figures(file: ClassifierFile, questions: Sequence[LabelledQuestion]) -> RepositoryFigures:
    """The figures of one repository's questions, of which there is at least one."""
    symbols = judged_symbols(file, questions)
    return RepositoryFigures(
        name=questions[0].repository,
        questions=len(questions),
        files=fmean(question.files for question in questions),
        candidates=judged_candidates(file, questions).figures(),
        symbols=symbols.figures() if len(symbols.labels) else None,
        ranking=MeanScores.of([RankingScores.of(q.ours, q.changed) for q in questions]),
        classifier=MeanScores.of([RankingScores.of(by_relevance(file, q), q.changed) for q in questions]),
        baseline=MeanScores.of([RankingScores.of(q.baseline, q.changed) for q in questions]),
    )


def judged_candidates(file: ClassifierFile, questions: Sequence[LabelledQuestion]) -> Judged:
    """All candidates that a judge would see, with the classes at the operating point."""
    found = [candidate_chances(file.production, file.other, question) for question in questions]
    least = [np.full(len(chances), least_relevant(chances[:, -1].tolist(), file.point)) for chances, _ in found]
    chances, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _chosen(chances, labels, np.concatenate(least))


def judged_symbols(file: ClassifierFile, questions: Sequence[LabelledQuestion]) -> Judged:
    """The symbols of the files that gold keeps, with the classes at the operating point."""
    rows = np.concatenate([q.symbols.features[q.kept] for q in questions]).astype(np.float64)
    labels = np.concatenate([q.symbols.labels[q.kept] for q in questions]).astype(np.int64)
    return _chosen(probabilities(file.symbols, SYMBOL_FEATURES, rows), labels, file.point.primary)


def by_relevance(file: ClassifierFile, question: LabelledQuestion) -> list[str]:
    """Production candidates by falling P(relevant); ties in the ranking's order."""
    rows = question.production.features.astype(np.float64)
    relevant = probabilities(file.production, PRODUCTION_FEATURES, rows)[:, -1]
    return [question.paths[number] for number in np.argsort(-relevant, kind="stable")]


def _chosen(chances: Array, labels: Ints, least: Array | float) -> Judged:
    """As `file_classes` and `symbol_class` choose: the last class from `least` on, else the likeliest other one."""
    last = chances.shape[1] - 1
    return Judged(chances, np.where(chances[:, last] >= least, last, chances[:, :last].argmax(1)), labels)
