"""What a study finds."""

from collections import Counter
from collections.abc import Sequence

from evals.study.asked import Offsets
from evals.study.comparison import Comparison, ContenderFigures
from evals.study.configuration import StudyConfiguration
from evals.study.plan import StudyRepository
from evals.study.questions import StudyQuestion
from models.context import Relevance
from models.plans import Frozen


class PartCount(Frozen):
    """A repository of the study: questions and judgements, relevant and supporting ones among them."""

    repository: str
    part: str
    commit: str
    questions: int
    judgements: int
    relevant: int
    supporting: int

    @classmethod
    def of(cls, repository: StudyRepository, part: str, rows: Sequence[StudyQuestion]) -> "PartCount":
        """The counts of a repository's questions."""
        classes = Counter(candidate.relevance for question in rows for candidate in question.candidates)
        return cls(
            repository=repository.name,
            part=part,
            commit=repository.head,
            questions=len(rows),
            judgements=classes.total(),
            relevant=classes[Relevance.RELEVANT],
            supporting=classes[Relevance.SUPPORTING],
        )


class CurvePoint(Frozen):
    """A fit on so many judgements, drawn with a seed, and its means over the held-out repositories, of `questions`
    questions in all. Macro F1 is not stated of models: without offsets their classes mean little."""

    learner: str
    rows: int
    seed: int
    average_precision: float
    macro_f1: float | None
    questions: int


class ModelOffsets(Frozen):
    """The offsets of a model, chosen on validation repositories."""

    model: str
    offsets: Offsets


class StudyReport(Frozen):
    """Everything a study found; the page shows it. `notes` say what was left out and what limits the figures."""

    configuration: StudyConfiguration
    repositories: tuple[PartCount, ...]
    threshold: float
    contenders: tuple[ContenderFigures, ...]
    sample: tuple[ContenderFigures, ...]
    offsets: tuple[ModelOffsets, ...]
    comparisons: tuple[Comparison, ...]
    curve: tuple[CurvePoint, ...]
    notes: tuple[str, ...]
