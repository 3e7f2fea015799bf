"""Orders of trainings, and their results."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from models.evaluation import ControlReport, Evaluation, EvaluationSet, GateReport, GateVerdict
from models.plans import Frozen
from models.training import TrainingTarget
from store.learning.trainings import FinishedTraining
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.data.curation import Card
from training.fit.job import Technique


class TrainOrder(Frozen):
    """A training to do. `dataset`: a directory; unset: the newest of the target.

    `item_level`: evidence over items alone may promote if there are too few repositories. `end_to_end`:
    packages of reserved repositories on which the whole pipeline runs after a promotion.
    """

    target: TrainingTarget
    base: str
    dataset: Path | None = None
    technique: Technique = "auto"
    item_level: bool = False
    override: str | None = None
    end_to_end: tuple[Path, ...] = ()
    end_to_end_limit: int | None = None


@dataclass(frozen=True)
class TrainingInputs:
    """The inputs of an order: the base, the dataset's directory with its card, and the frozen set."""

    base: Base
    dataset: Path
    card: Card
    evaluation_set: EvaluationSet


@dataclass(frozen=True)
class Control:
    """The evaluation of a control, or None for none, and what a gate's report says of it before it is compared."""

    evaluation: Evaluation | None
    report: ControlReport


@dataclass(frozen=True)
class Prepared:
    """A trained and evaluated adapter with its champion, before a gate decides."""

    order: TrainOrder
    inputs: TrainingInputs
    trained: FinishedTraining
    challenger: AdapterVersion
    champion: AdapterVersion | None
    champion_scores: Evaluation
    challenger_scores: Evaluation
    notes: tuple[str, ...]
    control: Control | None = None


class TrainReport(Frozen):
    """The result of a training. `outcome` is the gate's verdict, or why an adapter that passed is not active; `serving`
    is the target's active adapter or base; `notes` are overridden rules and other remarks."""

    target: TrainingTarget
    dataset: str
    adapter: str
    adapter_dir: Path
    champion: str
    verdict: GateVerdict
    outcome: str
    reason: str
    serving: str
    gate: GateReport
    metrics: dict[str, dict[str, float]]
    losses: Path
    notes: tuple[str, ...] = Field(default=())
