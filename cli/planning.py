"""Planning without an engine and without a row: for `cra plan`, which is asked and forgotten."""

from contextlib import nullcontext

from cli.output import errors
from harness.runs.attempt import make_planner
from harness.runs.indexes import Indexes
from harness.runs.model_pool import ModelPool
from harness.runs.solving import SolveOrder, place_for
from harness.runs.workspace import TreeWorkspace
from host.settings import load_settings
from models.edits import EditResult
from models.plans import MetaPlan, PartPlan
from models.protocols import Answer, Request, Stage
from models.solution import Solution
from models.suite import SuiteReport
from runtime.trees import checked_out
from tasks.runtime import open_runtime


class NullRecorder:
    """A recorder that keeps nothing."""

    def call(self, request: Request, answer: Answer) -> None:
        """Not kept."""

    def plan(self, stage: Stage, plan: MetaPlan | PartPlan) -> None:
        """Not kept."""

    def edits(self, part_id: str, step_id: str, attempt: int, results: list[EditResult]) -> None:
        """Not kept."""

    def tests(self, purpose: str, report: SuiteReport) -> None:
        """Not kept."""

    def decision(self, stage: Stage, subject: str, decision: str, reason: str) -> None:
        """Not kept."""


def make_plan(order: SolveOrder, planner: str, temperature: float) -> Solution:
    """The context and plans of an order. Raises as `flows.solve.solve` does."""
    from agent.loop import plan

    settings = load_settings()
    runtime = open_runtime(settings)
    wait = errors.status(f"planning in {order.repository}") if errors.is_terminal else nullcontext()
    with wait, place_for(order, runtime, settings.cache_dir) as place:
        instance_context = place.instance_context
        index = Indexes(settings.cache_dir / "index").of(
            instance_context.package, instance_context.instance.base_commit
        )
        who = make_planner(
            planner, instance_context, None, temperature, 0, ModelPool(settings.models, curated=settings.curated_url)
        )
        with checked_out(instance_context.package.git, instance_context.instance.base_commit, runtime.scratch) as tree:
            return plan(
                instance_context.task(), who, TreeWorkspace(tree), NullRecorder(), index if who.judges else None
            )
