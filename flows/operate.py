"""The operate flow: unattended rounds of self-improvement with retention, upkeep and rules that end them."""

from prefect import flow, get_run_logger, tags
from prefect.artifacts import create_table_artifact

from flows.training_context import open_training_context
from flows.training_steps import engine_steps
from training.cycle.context import TrainingContext
from training.operation.loop import operate as run_operation
from training.operation.orders import OperateOrder, OperateReport, OperationSteps
from training.operation.packages import trainable_packages


@flow(name="operate", flow_run_name="operate", persist_result=False)
def operate(order: OperateOrder, rounds: int = 1) -> OperateReport:
    """Run at most `rounds` rounds, until a rule, a plateau or a lack of repositories ends them; what was stopped goes
    on. The standing is part of the report and of the log; `cra operate --status` shows it."""
    context = open_training_context()
    report = run_operation(
        context,
        operation_steps(context),
        order,
        rounds,
        around=lambda number: tags(f"round-{number}"),
        show=_show,
    )
    standing = report.standing
    get_run_logger().info("%s: %s", standing.state.value, standing.reason)
    return report


def operation_steps(context: TrainingContext) -> OperationSteps:
    """The steps of a turn as the engine runs them."""
    return OperationSteps(engine_steps(), lambda: trainable_packages(context))


def _show(report: OperateReport) -> None:
    rows = [line.model_dump(mode="json") for line in report.lines]
    create_table_artifact(key="operate", table=rows, description=report.standing.reason or None)
