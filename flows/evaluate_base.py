"""The evaluate-base flow: a tuned base and the base in use are measured alike, and a gate compares them."""

from pathlib import Path

from prefect import flow, tags
from prefect.artifacts import create_markdown_artifact

from evals.base_report import base_markdown
from flows.training_context import open_training_context
from flows.training_steps import engine_steps
from models.base_evaluation import BaseReport
from training.cycle import base_evaluation
from training.cycle.base_planning import PlanningCampaigns


@flow(name="evaluate-base", flow_run_name="evaluate base {name}", persist_result=False)
def evaluate_base(
    name: str, against: str | None = None, held_out: Path | None = None, planning: PlanningCampaigns | None = None
) -> BaseReport:
    """Compare a tuned base with another, by default the one that its role uses. Nothing is promoted.

    Stored answers and measures are reused. Raises UsageError, RegistryError, EvaluationError.
    """
    with tags("evaluate", "base"):
        report = base_evaluation.evaluate_base(
            open_training_context(), engine_steps(), name, against, held_out, planning
        )
    create_markdown_artifact(base_markdown(report), key=f"base-{report.role}")
    return report
