"""`cra supplement`: tests for commits whose own tests do not tell them from their parent."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli.flow_context import flow_context
from cli.options import JsonOption, SandboxOption, TeacherCostOption
from cli.output import console, print_json, table
from harness.packages.package import read_package
from host.settings import load_settings
from llm import open_router
from models.errors import InfrastructureError
from tasks.runtime import open_runtime

if TYPE_CHECKING:
    from flows.supplement import SupplementReport


def supplement(
    packages: Annotated[list[Path], typer.Argument(metavar="PACKAGE...", help="Repo packages.")],
    limit: Annotated[int | None, typer.Option(help="Commits at most.", min=0)] = None,
    max_cost: TeacherCostOption = None,
    sandbox: SandboxOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the teacher write tests for commits that have none which fail before and pass after.

    A test is accepted when it passes on the commit, run after run, and fails on its parent. Accepted tests are stored
    in the package, hidden from planners like the commits' own; later campaigns judge with them. The same command goes
    on where it was stopped, and pays for no answer twice.
    """
    settings = load_settings()
    open_runtime(settings, sandbox)  # mistakes end before the engine starts
    open_router(settings.models, "teacher")
    for package in packages:
        read_package(package)
    with flow_context():
        from flows.supplement import supplement as supplement_flow

        report = supplement_flow([package.resolve() for package in packages], limit, max_cost, sandbox)
    if as_json:
        print_json({**report.model_dump(mode="json"), "counts": report.counts()})
    else:
        _show(report)
    _fail_if_open(report)


def _fail_if_open(report: "SupplementReport") -> None:
    """Raises InfrastructureError, for the exit code, if a commit was not decided about."""
    open_ones = [line for line in report.lines if line.undecided]
    if report.stopped or open_ones:
        why = report.stopped or f"{len(open_ones)} commits met a fault: {open_ones[0].detail}"
        raise InfrastructureError(f"{why}; the same command goes on from here")


def _show(report: "SupplementReport") -> None:
    rows = []
    for line in report.lines:
        accepted = line.state == "accepted"
        how = ", ".join(f"{count} by {how}" for how, count in line.how.items())
        coverage = "-" if line.coverage is None else f"{line.coverage:.0%}"
        hunks = f"{line.killed}/{line.hunks}" if accepted else "-"
        what = line.task if accepted else f"{line.task}\n{line.detail}"
        state = Text(line.state, "green" if accepted else "yellow")
        rows.append((f"{line.package}@{line.commit[:7]}", state, how or "-", coverage, hunks, what))
    columns = ["commit", "state", "fail before", "lines", "hunks", "task"]
    table("Generated tests", columns, rows, right=["lines", "hunks"])
    states = ", ".join(f"{state} {count}" for state, count in report.counts().items()) or "none tried"
    console.print(f"{report.lacking} commits lack tests of their change: {states}; cost {report.cost:.4f}")
