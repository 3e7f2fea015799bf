"""What a study finds."""

from evals.study.asked import Offsets
from evals.study.comparison import Comparison, ContenderFigures
from evals.study.configuration import StudyConfiguration
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
