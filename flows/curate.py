"""The curate flow: from stored runs to a dataset, with its card and funnel in the UI."""

from prefect import flow, tags
from prefect.artifacts import create_markdown_artifact

from flows.training_context import open_training_context
from models.curation_settings import CurationRequest
from tasks.define import opaque_argument
from tasks.learning import curate_dataset
from training.data.curation import Curated


@flow(name="curate", flow_run_name="curate {request.target.value}", persist_result=False)
def curate(request: CurationRequest) -> Curated:
    """Make a dataset of a target. Raises GuardrailError for a broken rule, TrainingError without anything to learn."""
    with tags("curate", request.target.value):
        made = curate_dataset(request.target.value, opaque_argument(open_training_context()), request)
    create_markdown_artifact(made.card.to_markdown(), key=f"dataset-{request.target.value.replace('_', '-')}")
    return made
