"""Tasks of the learning loop: its long steps, each with the engine's retries. Finished ones are reused."""

from models.curation_settings import CurationRequest
from models.evaluation import Evaluation, EvaluationSet
from store.learning.trainings import FinishedTraining
from tasks.define import engine_task
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.cycle.base_measures import BaseContest, BaseMeasures, measure_bases
from training.cycle.context import TrainingContext
from training.cycle.evaluation import answer_set
from training.cycle.trainings import make_dataset, run_training
from training.data.curation import Curated
from training.fit.job import TrainingJob


@engine_task("curate {label}")
def curate_dataset(label: str, context: TrainingContext, request: CurationRequest) -> Curated:
    """`make_dataset` as a task."""
    return make_dataset(label, context, request)


@engine_task("evaluate {label}")
def evaluate_subject(
    label: str, context: TrainingContext, evaluation_set: EvaluationSet, base: Base, adapter: AdapterVersion | None
) -> Evaluation:
    """`answer_set` as a task."""
    return answer_set(label, context, evaluation_set, base, adapter)


@engine_task("compare {label}")
def compare_bases(label: str, context: TrainingContext, contest: BaseContest) -> BaseMeasures:
    """`measure_bases` as a task."""
    return measure_bases(label, context, contest)


@engine_task("train {label}", retries=1)
def train_adapter(label: str, context: TrainingContext, job: TrainingJob) -> FinishedTraining:
    """`run_training` as a task."""
    return run_training(label, context, job)
