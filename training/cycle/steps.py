"""The long steps of the cycle as callables, so that an engine can run each in its own way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.curation_settings import CurationRequest
from models.evaluation import Evaluation, EvaluationSet, GateReport
from models.protocols import Stage
from store.learning.trainings import FinishedTraining
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.cycle.base_measures import BaseContest, BaseMeasures
from training.cycle.context import TrainingContext
from training.cycle.orders import Prepared
from training.data.curation import Curated
from training.fit.job import TrainingJob


@dataclass(frozen=True)
class StudentCampaign:
    """A campaign of the student over packages. `adapters` (served names) replace the active ones."""

    name: str
    packages: tuple[Path, ...]
    temperatures: tuple[float, ...]
    samples: int
    limit: int | None = None
    adapters: Mapping[Stage, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingSteps:
    """The long steps, and the display of results. Labels are for display.

    `run_campaign` runs a campaign to its end and returns its id. `curate` makes a dataset, `answer` has a base, with an
    adapter or alone, answer a frozen set, `measure` compares two bases by losses, `fit` runs a training. Each may raise
    any CleanRoomError.
    """

    run_campaign: Callable[[StudentCampaign], str]
    curate: Callable[[str, TrainingContext, CurationRequest], Curated]
    answer: Callable[[str, TrainingContext, EvaluationSet, Base, AdapterVersion | None], Evaluation]
    measure: Callable[[str, TrainingContext, BaseContest], BaseMeasures]
    fit: Callable[[str, TrainingContext, TrainingJob], FinishedTraining]
    publish: Callable[[Prepared, GateReport], None]
