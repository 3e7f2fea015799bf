"""Tasks of the learning loop: its long steps, each with the engine's retries. Finished ones are reused."""

from prefect import task

from models.curation_settings import CurationRequest
from models.evaluation import Evaluation, EvaluationSet
from store.learning.trainings import FinishedTraining
from tasks.caching import RETRY_DELAYS, is_infrastructure
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.cycle.context import TrainingContext
from training.cycle.evaluation import answer_set
from training.cycle.trainings import make_dataset, run_training
from training.data.curation import Curated
from training.fit.job import TrainingJob


@task(
    task_run_name="curate {label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def curate_dataset(label: str, context: TrainingContext, request: CurationRequest) -> Curated:
    """`make_dataset` as a task."""
    return make_dataset(label, context, request)


@task(
    task_run_name="evaluate {label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def evaluate_subject(
    label: str, context: TrainingContext, evaluation_set: EvaluationSet, base: Base, adapter: AdapterVersion | None
) -> Evaluation:
    """`answer_set` as a task."""
    return answer_set(label, context, evaluation_set, base, adapter)


@task(
    task_run_name="train {label}",
    retries=1,
    retry_delay_seconds=RETRY_DELAYS[0],
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def train_adapter(label: str, context: TrainingContext, job: TrainingJob) -> FinishedTraining:
    """`run_training` as a task."""
    return run_training(label, context, job)
