"""`cra solve`: the agent changes a user's own repository."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.syntax import Syntax

from cli.flow_context import flow_context
from cli.options import GoldOption, PlannerOption, RepoOption, RevisionOption, SandboxOption, TaskArgument
from cli.output import console, errors, print_json
from cli.plan import make_order
from harness.runs.delivery import apply_to, check_branch, make_branch
from harness.runs.solving import FullCheck
from host.settings import load_settings
from models.edits import EditFormat
from models.errors import UsageError
from tasks.runtime import open_runtime

if TYPE_CHECKING:
    from flows.solve import SolveReport


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
        EditFormat | None, typer.Option(help="search-replace or whole-symbol; the model's own if unset.")
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
    order = make_order(task, repo, at, planner, commit, tests)
    _check_delivery(repo, branch, apply)
    open_runtime(load_settings(), sandbox)  # mistakes end before the engine starts
    with flow_context():
        from flows.solve import SolveRequest
        from flows.solve import solve as solve_flow

        request = SolveRequest(
            planner=planner,
            temperature=temperature,
            sample=sample,
            edit_format=edit_format,
            max_cost=max_cost,
            max_tokens=max_tokens,
        )
        solved = solve_flow(task if len(task) <= 60 else task[:59] + "…", order, request, sandbox)
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


def _check_delivery(repo: Path, branch: str | None, apply: bool) -> None:
    if branch and apply:
        raise UsageError("--apply and --branch exclude each other")
    if branch:
        check_branch(repo.resolve(), branch)


def _deliver(solved: "SolveReport", repository: str, task: str, branch: str | None, apply: bool) -> None:
    root = Path(repository)
    if apply:
        apply_to(root, solved.base, solved.work.changes)
        _say(f"applied to {root}")
    elif branch:
        commit = make_branch(root, solved.base, solved.work.changes, task, branch)
        _say(f"branch {branch} is at {commit[:12]}; look at it with: git -C {root} show {branch}")


def _say(text: str) -> None:
    errors.print(text, markup=False, soft_wrap=True)


def print_solved(solved: "SolveReport") -> None:
    """The diff on standard output, what came of it on standard error, so that the diff can be piped."""
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


def _tests(check: FullCheck) -> str:
    summary = f"tests: {_counts(check.before)} before; {_counts(check.after)} after"
    return summary + "".join(f"\n  broke: {name}" for name in check.broken[:10])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "none"
