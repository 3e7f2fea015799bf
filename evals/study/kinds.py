"""Kinds of studies: what is asked, and how those contenders classify that fit nothing.

scope      which files of a repository are relevant, supporting, irrelevant
precision  which symbols of a file that changes are primary, supporting, excluded
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.retrieve.relevance.classifier import class_at, file_classes
from evals.study.questions import StudyCandidate, StudyQuestion, questions, questions_key
from evals.study.symbol_questions import SymbolQuestion, symbol_questions, symbol_questions_key
from models.context import CandidateTier, Relevance, RelevanceEstimate
from models.relevance import OperatingPoint
from models.targets import TrainingTarget
from repos.git import Git

_RELEVANT_SCORE, _MOST_RELEVANT, _MOST_SHOWN = 0.08, 5, 12
_PRIMARY_SCORE, _MOST_PRIMARY = 0.55, 6
_SUPPORTING_SCORE, _MOST_SUPPORTING = 0.3, 14


Ranked = tuple[Relevance, float]
"""A class, and the score by which candidates of all questions are sorted."""


@dataclass(frozen=True)
class StudyKind:
    """A kind of study. The classes of all kinds are those of `Relevance`; `words` are their names in this one.

    target: the stage that is studied. asked, items: the question in a sentence, and what is judged. question: the type
    of its questions; `make` reads those of a repository from its history, and `key` identifies them. by_rank: classes
    and scores by the ranking. by_estimates: classes by the classifier's estimates. negatives: the
    share of irrelevant candidates in subsets of the learning curve; a file brings some 56 symbols, of which three are
    primary or supporting, and few whole files would make a subset.
    """

    target: TrainingTarget
    asked: str
    items: str
    words: dict[Relevance, str]
    question: type[StudyQuestion]
    make: Callable[[Git, str, int, Path], Iterator[StudyQuestion]]
    key: Callable[[Git, int], str]
    by_rank: Callable[[Sequence[StudyCandidate]], list[Ranked]]
    by_estimates: Callable[[Sequence[RelevanceEstimate], OperatingPoint], list[Relevance]]
    negatives: float = 1.0

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.target.value


def files_by_rank(candidates: Sequence[StudyCandidate]) -> list[Ranked]:
    """The first, and up to four more with a score of 0.08, are relevant; the next, up to twelve in all, and those that
    the task names are supporting."""
    return [(_by_rank(place, each), each.score) for place, each in enumerate(candidates)]


def _by_rank(place: int, candidate: StudyCandidate) -> Relevance:
    if place == 0 or (candidate.score >= _RELEVANT_SCORE and place < _MOST_RELEVANT):
        return Relevance.RELEVANT
    shown = place < _MOST_SHOWN or candidate.tier is CandidateTier.MENTIONED
    return Relevance.SUPPORTING if shown else Relevance.IRRELEVANT


def symbols_by_rank(candidates: Sequence[StudyCandidate]) -> list[Ranked]:
    """Up to six with 0.55 of the best score are primary; further ones, up to fourteen in all, with 0.3 of it are
    supporting. They are sorted by their shares of the sum of their file's scores."""
    total = sum(each.score for each in candidates) or 1.0
    return [(_symbol_by_rank(place, each.score), each.score / total) for place, each in enumerate(candidates)]


def _symbol_by_rank(place: int, score: float) -> Relevance:
    if score >= _PRIMARY_SCORE and place < _MOST_PRIMARY:
        return Relevance.RELEVANT
    return Relevance.SUPPORTING if score >= _SUPPORTING_SCORE and place < _MOST_SUPPORTING else Relevance.IRRELEVANT


def symbol_classes(estimates: Sequence[RelevanceEstimate], point: OperatingPoint) -> list[Relevance]:
    """Primary from the operating point on, else the likelier of supporting and excluded."""
    return [class_at(each, point.primary) for each in estimates]


SCOPE = StudyKind(
    target=TrainingTarget.SCOPE,
    asked="Which files of a repository matter for a task",
    items="files",
    words={each: each.value for each in Relevance},
    question=StudyQuestion,
    make=questions,
    key=questions_key,
    by_rank=files_by_rank,
    by_estimates=file_classes,
)
PRECISION = StudyKind(
    target=TrainingTarget.PRECISION,
    asked="Which symbols of changed files matter for a task",
    items="symbols",
    words={Relevance.RELEVANT: "primary", Relevance.SUPPORTING: "supporting", Relevance.IRRELEVANT: "excluded"},
    question=SymbolQuestion,
    make=symbol_questions,
    key=symbol_questions_key,
    by_rank=symbols_by_rank,
    by_estimates=symbol_classes,
    negatives=0.125,
)
KINDS = {each.name: each for each in (SCOPE, PRECISION)}
