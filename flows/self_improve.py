"""The self-improve flow: rounds of a student campaign, datasets, trainings, evaluations and gates."""

from prefect import flow, get_run_logger, tags
from prefect.artifacts import create_table_artifact

from evals.sets import copy_of_reserved, reserved_repositories
from flows.packages import corpus_packages
from flows.training_context import open_training_context
from flows.training_steps import engine_steps
from harness.packages.contents import package_content
from harness.packages.package import read_package
from models.errors import UsageError
from training.cycle.context import TrainingContext
from training.cycle.improvement import ImproveOrder, ImproveReport, TargetLine, improve


@flow(name="self-improve", flow_run_name="self-improve", persist_result=False)
def self_improve(order: ImproveOrder, rounds: int = 1, scheduled: bool = False) -> ImproveReport:
    """Run at most `rounds` rounds of self-improvement, until one promotes nothing.

    Raises GuardrailError when a rule refuses, UsageError for an order that does not match an open round. A `scheduled`
    run ends without an error where there is nothing to learn from yet (no package, base or frozen evaluation set); its
    report and its log give the reason. Where no campaign ran yet, it takes the packages of this machine's corpus.
    """
    context = open_training_context()
    try:
        return improve(
            context,
            engine_steps(),
            _with_packages(context, order) if scheduled else order,
            rounds,
            around=lambda number: tags(f"round-{number}"),
            show=_show,
        )
    except UsageError as error:
        if not scheduled:
            raise
        get_run_logger().warning("nothing to do: %s", error)
        return ImproveReport(lines=(), stopped=str(error))


def _with_packages(context: TrainingContext, order: ImproveOrder) -> ImproveOrder:
    """The order, with those packages of the corpus that are not reserved if neither it nor a campaign names any."""
    if order.packages or context.known_packages():
        return order
    held = reserved_repositories(context.curated, context.raw_engine)
    packages = [
        path
        for path in corpus_packages([], context.settings)
        if read_package(path).manifest.name not in held
        and not copy_of_reserved(context.curated, context.raw_engine, package_content(read_package(path)))
    ]
    return order.model_copy(update={"packages": tuple(packages)})


def _show(lines: list[TargetLine]) -> None:
    create_table_artifact(key="self-improve", table=[line.model_dump(mode="json") for line in lines])
