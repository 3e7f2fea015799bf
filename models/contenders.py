"""Contenders of gates and studies that ask no language model: classifiers of candidates."""

from collections.abc import Sequence
from typing import Protocol

from models.context import Candidate, RelevanceEstimate
from models.evaluation import ClassJudgement, EvaluationItem


class CandidateClassifier(Protocol):
    """Gives calibrated probabilities for the candidates of a task."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def identity(self) -> str:
        """Text that changes whenever its probabilities may."""
        ...

    def estimates(self, task: str, candidates: Sequence[Candidate]) -> Sequence[RelevanceEstimate]:
        """The probabilities of each candidate, in their order. Raises any CleanRoomError."""
        ...


class ItemClassifier(Protocol):
    """Judges the candidates of a frozen evaluation item."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def identity(self) -> str:
        """Text that changes whenever its judgements may."""
        ...

    def judge(self, item: EvaluationItem) -> Sequence[ClassJudgement]:
        """A judgement with a probability for each candidate, in the order in which gold judges them.

        Raises EvaluationError for an item that it cannot judge.
        """
        ...
