"""The long steps of the learning loop as the engine runs them: campaigns and curations as flows, the rest as tasks."""

import base64

from prefect.artifacts import create_image_artifact, create_markdown_artifact

from evals.gate_report import gate_markdown
from flows.campaign import campaign
from flows.curate import curate
from models.curation_settings import CurationRequest
from models.evaluation import Evaluation, EvaluationSet, GateReport
from store.learning.trainings import FinishedTraining
from tasks.define import opaque_argument
from tasks.learning import compare_bases, evaluate_subject, train_adapter
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.cycle.base_measures import BaseContest, BaseMeasures
from training.cycle.context import TrainingContext
from training.cycle.orders import Prepared
from training.cycle.steps import StudentCampaign, TrainingSteps
from training.cycle.student_runs import STUDENT
from training.data.curation import Curated
from training.fit.job import TrainingJob


def engine_steps() -> TrainingSteps:
    """The steps for flows of the learning loop."""
    return TrainingSteps(
        run_campaign=_run_campaign, curate=_curate, answer=_answer, measure=_measure, fit=_fit, publish=_publish
    )


def _run_campaign(asked: StudentCampaign) -> str:
    report = campaign(
        list(asked.packages),
        [STUDENT],
        asked.name,
        temperatures=list(asked.temperatures),
        samples=asked.samples,
        limit=asked.limit,
        adapters=dict(asked.adapters),
    )
    return report.campaign_id


def _curate(label: str, context: TrainingContext, request: CurationRequest) -> Curated:
    return curate(request)


def _answer(
    label: str, context: TrainingContext, evaluation_set: EvaluationSet, base: Base, adapter: AdapterVersion | None
) -> Evaluation:
    return evaluate_subject(label, opaque_argument(context), opaque_argument(evaluation_set), base, adapter)


def _measure(label: str, context: TrainingContext, contest: BaseContest) -> BaseMeasures:
    return compare_bases(label, opaque_argument(context), opaque_argument(contest))


def _fit(label: str, context: TrainingContext, job: TrainingJob) -> FinishedTraining:
    return train_adapter(label, opaque_argument(context), opaque_argument(job))


def _publish(prepared: Prepared, report: GateReport) -> None:
    """Show the gate's table, the dataset's funnel and the loss curve in the UI."""
    name = prepared.order.target.value.replace("_", "-")
    create_markdown_artifact(gate_markdown([report]), key=f"gate-{name}")
    create_markdown_artifact(prepared.inputs.card.to_markdown(), key=f"dataset-{name}")
    picture = base64.b64encode((prepared.trained.path.parent / "loss.svg").read_bytes()).decode()
    create_image_artifact(image_url=f"data:image/svg+xml;base64,{picture}", key=f"loss-{name}")
