"""The self-improve flow: rounds of a student campaign, datasets, trainings, evaluations and gates."""

from prefect import flow, tags
from prefect.artifacts import create_table_artifact

from flows.training_context import open_training_context
from flows.training_steps import engine_steps
from training.cycle.improvement import ImproveOrder, ImproveReport, TargetLine, improve


@flow(name="self-improve", flow_run_name="self-improve", persist_result=False)
def self_improve(order: ImproveOrder, rounds: int = 1) -> ImproveReport:
    """Run at most `rounds` rounds of self-improvement, until one promotes nothing.

    Raises GuardrailError when a rule refuses, UsageError for an order that does not match an open round.
    """
    return improve(
        open_training_context(),
        engine_steps(),
        order,
        rounds,
        around=lambda number: tags(f"round-{number}"),
        show=_show,
    )


def _show(lines: list[TargetLine]) -> None:
    create_table_artifact(key="self-improve", table=[line.model_dump(mode="json") for line in lines])
