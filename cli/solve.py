"""`cra plan` and `cra solve`: the agent on a repository of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.corpus import SandboxOption

if TYPE_CHECKING:
    from rich.tree import Tree

    from flows.solve import SolveReport
    from harness.runs.solving import FullCheck, SolveOrder
    from models.context import ContextPackage
    from models.plans import MetaPlanPart, PartPlan
    from models.solution import Solution

TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="What is to be done, in your words.")]
RepoOption = Annotated[Path, typer.Option("--repo", help="A git repository; its files are not touched.")]
RevisionOption = Annotated[str, typer.Option("--at", metavar="REV", help="The revision to start from.")]
PlannerOption = Annotated[str, typer.Option("--planner", help="student, teacher, no-plan, or gold with --commit.")]
GoldOption = Annotated[
    str | None, typer.Option("--commit", metavar="REV", help="With --planner gold: the commit whose change is made.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(plan)
    app.command()(solve)


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
    from cli.output import print_json
    from cli.planning import make_plan

    solution = make_plan(_order(task, repo, at, planner, commit, tests=False), planner, temperature)
    if as_json:
        print_json(solution)
    else:
        print_plan(solution)
    if solution.meta is None:
        raise typer.Exit(1)


def solve(
    task: TaskArgument,
    repo: RepoOption = Path(),
    at: RevisionOption = "HEAD",
    planner: PlannerOption = "student",
    commit: GoldOption = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write the change over the files in --repo.")] = False,
    branch: Annotated[
        str | None, typer.Option("--branch", metavar="NAME", help="Commit the change as a new branch of --repo.")
    ] = None,
    tests: Annotated[
        bool, typer.Option("--tests/--no-tests", help="Run the repository's tests as steps are made.")
    ] = True,
    temperature: Annotated[float, typer.Option(min=0.0, max=2.0, help="Sampling temperature of plans and code.")] = 0.0,
    sample: Annotated[int, typer.Option(min=0, help="Another number, another attempt.")] = 0,
    edit_format: Annotated[
        str | None, typer.Option(help="search-replace or whole-symbol; the model's own if unset.")
    ] = None,
    max_cost: Annotated[float | None, typer.Option(help="Stop when the calls have cost this much.", min=0.0)] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Stop when the calls have used this many.", min=1)] = None,
    sandbox: SandboxOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON.")] = False,
) -> None:
    """Do a task on a repository: retrieve, plan, code and test step by step, and print the change as a diff.

    The repository itself is left alone unless --apply or --branch is given. Stopped in the middle, the same command
    goes on where it was; finished, it prints the same change again. Exits with 1 when the task did not come to an end
    or a test broke.
    """
    from cli.output import print_json
    from cli.running import run_solve

    order = _order(task, repo, at, planner, commit, tests)
    _check_delivery(repo, branch, apply)
    solved = run_solve(order, planner, temperature, sample, edit_format, max_cost, max_tokens, sandbox)
    if as_json:
        print_json(solved)
    else:
        print_solved(solved)
    if solved.outcome.succeeded:
        _deliver(solved, order.repository, task, branch, apply)
    elif apply or branch:
        _say(f"the change was neither applied nor committed: {solved.outcome.value}")
    if not solved.outcome.succeeded:
        raise typer.Exit(1)


def _order(task: str, repo: Path, at: str, planner: str, commit: str | None, tests: bool) -> "SolveOrder":
    from harness.planners.registry import check_planners
    from harness.runs.solving import SolveOrder
    from models.errors import UsageError

    check_planners([planner])
    if not task.strip():
        raise UsageError("TASK is empty; say what is to be done")
    if (planner == "gold") != (commit is not None):
        raise UsageError("--planner gold and --commit REV go together: gold makes the change of that commit")
    return SolveOrder(task=task, repository=str(repo.resolve()), revision=at, gold=commit, tests=tests)


def _check_delivery(repo: Path, branch: str | None, apply: bool) -> None:
    from harness.runs.delivery import check_branch
    from models.errors import UsageError

    if branch and apply:
        raise UsageError("--apply and --branch exclude each other")
    if branch:
        check_branch(repo.resolve(), branch)


def _deliver(solved: "SolveReport", repository: str, task: str, branch: str | None, apply: bool) -> None:
    from harness.runs.delivery import apply_to, make_branch

    root = Path(repository)
    if apply:
        apply_to(root, solved.base, solved.work.changes)
        _say(f"applied to {root}")
    elif branch:
        commit = make_branch(root, solved.base, solved.work.changes, task, branch)
        _say(f"branch {branch} is at {commit[:12]}; look at it with: git -C {root} show {branch}")


def _say(text: str) -> None:
    from cli.output import errors

    errors.print(text, markup=False, soft_wrap=True)


def print_plan(solution: "Solution") -> None:
    """The context and the plans as a tree."""
    from rich.tree import Tree

    from cli.output import console

    tree = Tree("[bold]plan[/]" + (f": {_plain(solution.meta.rationale)}" if solution.meta else ""))
    if solution.context:
        _add_context(tree, solution.context)
    plans = {each.part_id: each for each in solution.part_plans}
    for part in solution.meta.parts if solution.meta else ():
        _add_part(tree, part, plans.get(part.id))
    console.print(tree)
    if solution.detail:
        console.print(f"[yellow]{solution.stopped_reason.value}[/]: {_plain(solution.detail)}")


def _add_context(tree: "Tree", context: "ContextPackage") -> None:
    branch = tree.add(f"context: {len(context.files)} files, {context.tokens} of {context.budget} tokens")
    for file in context.files:
        shown = "" if file.whole else ", abridged"
        branch.add(
            f"{_plain(file.path)} [dim]({file.relevance.value}, {file.tokens} tokens{shown}) {_plain(file.reason)}[/]"
        )
    if context.left_out:
        branch.add(f"[dim]{len(context.left_out)} left out[/]")


def _add_part(tree: "Tree", part: "MetaPlanPart", plan: "PartPlan | None") -> None:
    from agent.prompts.render import place_of

    after = f" [dim](after {', '.join(part.depends_on)})[/]" if part.depends_on else ""
    branch = tree.add(f"[bold]{_plain(part.id)}[/] {_plain(part.title)}{after}: {_plain(part.description)}")
    for step in plan.steps if plan else ():
        below = branch.add(f"{_plain(step.id)}: {_plain(step.description)}")
        for target in step.targets:
            below.add(f"[cyan]{_plain(place_of(target))}[/]")


def print_solved(solved: "SolveReport") -> None:
    """The diff on standard output, what came of it on standard error, so that the diff can be piped."""
    from rich.syntax import Syntax

    from cli.output import console, errors

    if console.is_terminal:
        console.print(Syntax(solved.work.patch, "diff", background_color="default"))
    else:
        typer.echo(solved.work.patch, nl=False)
    errors.print(f"{solved.outcome.value}: {solved.detail}", markup=False, soft_wrap=True)
    if solved.check:
        errors.print(_tests(solved.check), markup=False, soft_wrap=True)
    elif solved.untested:
        errors.print(f"no tests were run: {solved.untested}", markup=False, soft_wrap=True)
    errors.print(f"[dim]next: cra trace {solved.trajectory[:12]}    # every prompt, answer and decision[/]")


def _tests(check: "FullCheck") -> str:
    said = f"tests: {_counts(check.before)} before; {_counts(check.after)} after"
    return said + "".join(f"\n  broke: {name}" for name in check.broken[:10])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "none"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(" ".join(text.split()))
