"""What is ordered of a training, and what came of it."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from models.evaluation import Evaluation, EvaluationSet, GateReport, GateVerdict
from models.plans import Frozen
from models.training import TrainingTarget
from store.learning.trainings import FinishedTraining
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.data.curation import Card
from training.fit.job import Technique


class TrainOrder(Frozen):
    """What is to be trained. `dataset`: a directory; unset: the newest of the target.

    `item_level`: evidence about the items alone may promote where repositories are too few for more. `end_to_end`:
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
    """What an order names, found: the base, the dataset's directory with its card, and the frozen set."""

    base: Base
    dataset: Path
    card: Card
    evaluation_set: EvaluationSet


@dataclass(frozen=True)
class Prepared:
    """An adapter that was trained and measured, and the champion it is measured against, before a gate decides."""

    order: TrainOrder
    inputs: TrainingInputs
    trained: FinishedTraining
    challenger: AdapterVersion
    champion: AdapterVersion | None
    champion_scores: Evaluation
    challenger_scores: Evaluation
    notes: tuple[str, ...]


class TrainReport(Frozen):
    """What came of a training. `outcome` is the gate's verdict, or why one that passed does not serve; `serving` is
    what serves the target now; `notes` are rules that were gone past, and what else is to be known."""

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
