"""The evaluate flow: two subjects answer the newest frozen set of a target, and a gate compares them."""

from prefect import flow, tags
from prefect.artifacts import create_markdown_artifact

from evals.gate_report import gate_markdown
from flows.training_context import open_training_context
from flows.training_steps import engine_steps
from models.training import TrainingTarget
from training.cycle.comparison import Compared, compare_subjects, find_contest


@flow(name="evaluate", flow_run_name="evaluate {target.value} {adapter}", persist_result=False)
def evaluate(
    target: TrainingTarget, adapter: str, against: str | None = None, base: str | None = None, item_level: bool = False
) -> Compared:
    """Evaluate an adapter (by name, or `base`) against another; without one, against the active one.

    Nothing is promoted. Stored answers are reused. Raises UsageError, RegistryError, EvaluationError.
    """
    context = open_training_context()
    contest = find_contest(context, target, adapter, against, base)
    with tags("evaluate", target.value):
        compared = compare_subjects(context, engine_steps(), contest, item_level)
    create_markdown_artifact(gate_markdown([compared.report]), key=f"evaluation-{target.value.replace('_', '-')}")
    return compared
