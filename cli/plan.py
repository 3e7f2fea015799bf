"""`cra plan`: the context and the plans of a task, without an engine and without a row."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from agent.loop import plan as plan_task
from agent.prompts.render import place_of
from cli.options import GoldOption, PlannerOption, RepoOption, RevisionOption, TaskArgument
from cli.output import console, print_json
from cli.progress import stages
from cli.stopping import stopped_by_interrupt
from harness.planners.registry import check_planners
from harness.runs.attempt import make_planner
from harness.runs.executor import DIRECT, PlannerProxy
from harness.runs.indexes import Indexes
from harness.runs.model_pool import ModelPool
from harness.runs.solving import SolveOrder, solve_context
from harness.runs.workspace import TreeWorkspace
from host.settings import load_settings
from models.context import ContextPackage
from models.edits import EditResult
from models.errors import UsageError
from models.plans import MetaPlan, MetaPlanPart, PartPlan
from models.protocols import Answer, Request, Stage
from models.solution import Solution
from models.suite import SuiteReport
from runtime.trees import checked_out
from tasks.runtime import open_runtime


class NullRecorder:
    """Recorder that discards everything."""

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


def plan(
    task: TaskArgument,
    repo: RepoOption = Path(),
    at: RevisionOption = "HEAD",
    planner: PlannerOption = "student",
    commit: GoldOption = None,
    temperature: Annotated[float, typer.Option(min=0.0, max=2.0, help="Sampling temperature of the plans.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print context, plans and decisions as JSON.")] = False,
) -> None:
    """Show how a task would be done: the files that matter, the parts, and the steps of each part. Changes nothing."""
    order = make_order(task, repo, at, planner, commit, tests=False)
    with stopped_by_interrupt():
        solution = make_plan(order, planner, temperature)
    if as_json:
        print_json(solution)
    else:
        print_plan(solution)
    if solution.meta is None:
        raise typer.Exit(1)


def make_plan(order: SolveOrder, planner: str, temperature: float) -> Solution:
    """The context and plans of an order. Raises as `flows.solve.solve` does."""
    settings = load_settings()
    runtime = open_runtime(settings)
    with (
        stages(f"planning in {Path(order.repository).name}") as show,
        solve_context(order, runtime, settings.cache_dir) as place,
    ):
        context = place.instance_context
        show("index")
        index = Indexes(settings.cache_dir / "index").of(context.package, context.instance.base_commit)
        pool = ModelPool(settings.models, curated=settings.curated_url)
        chosen = make_planner(planner, context, None, temperature, 0, pool)
        asked = PlannerProxy(chosen, DIRECT, planner, planner, show)
        with checked_out(context.package.git, context.instance.base_commit, runtime.scratch) as tree:
            workspace = TreeWorkspace(tree)
            return plan_task(context.task(), asked, workspace, NullRecorder(), index if chosen.judges else None)


def make_order(task: str, repo: Path, at: str, planner: str, commit: str | None, tests: bool) -> SolveOrder:
    check_planners([planner])
    if not task.strip():
        raise UsageError("TASK is empty; say what is to be done")
    if (planner == "gold") != (commit is not None):
        raise UsageError("--planner gold and --commit REV go together: gold makes the change of that commit")
    return SolveOrder(task=task, repository=str(repo.resolve()), revision=at, gold=commit, tests=tests)


def print_plan(solution: Solution) -> None:
    """The context and the plans as a tree."""
    tree = Tree("[bold]plan[/]" + (f": {_plain(solution.meta.rationale)}" if solution.meta else ""))
    if solution.context:
        _add_context(tree, solution.context)
    plans = {each.part_id: each for each in solution.part_plans}
    for part in solution.meta.parts if solution.meta else ():
        _add_part(tree, part, plans.get(part.id))
    console.print(tree)
    if solution.detail:
        console.print(f"[yellow]{solution.stopped_reason.value}[/]: {_plain(solution.detail)}")


def _add_context(tree: Tree, context: ContextPackage) -> None:
    branch = tree.add(f"context: {len(context.files)} files, {context.tokens} of {context.budget} tokens")
    for file in context.files:
        shown = "" if file.whole else ", abridged"
        branch.add(
            f"{_plain(file.path)} [dim]({file.relevance.value}, {file.tokens} tokens{shown}) {_plain(file.reason)}[/]"
        )
    if context.left_out:
        branch.add(f"[dim]{len(context.left_out)} left out[/]")


def _add_part(tree: Tree, part: MetaPlanPart, plan: PartPlan | None) -> None:
    after = f" [dim](after {', '.join(part.depends_on)})[/]" if part.depends_on else ""
    branch = tree.add(f"[bold]{_plain(part.id)}[/] {_plain(part.title)}{after}: {_plain(part.description)}")
    for step in plan.steps if plan else ():
        below = branch.add(f"{_plain(step.id)}: {_plain(step.description)}")
        for target in step.targets:
            below.add(f"[cyan]{_plain(place_of(target))}[/]")


def _plain(text: str) -> str:
    return escape(" ".join(text.split()))
