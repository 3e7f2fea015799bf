"""`cra rehearse`: the complete loop once, with real parts, and the evidence of each step on one page."""

import contextlib
import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cli.doctor import examine
from cli.flow_context import flow_context
from cli.local_engine import NAMED
from cli.options import JsonOption
from cli.output import console, counted, print_json, printable, table
from cli.pages.rehearsal import rehearsal_page
from cli.pages.render import write_page
from cli.server.connection import read_connection, server_client_settings
from flows.packages import corpus_packages
from harness.packages.package import write_atomically
from host.code_version import code_version
from host.private import make_directory
from host.settings import load_settings
from models.errors import InfrastructureError, UsageError
from models.rehearsal import Finding, RehearsalOrder, RehearsalReport, StepEvidence, report_of
from models.settings import Settings

PAGE, FIGURES = "rehearsal.html", "rehearsal.json"
_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


def rehearse(
    packages: Annotated[
        list[Path] | None,
        typer.Option("--packages", metavar="DIR", help="A repo package, or several; else all of the corpus."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="NAME", help="Default: the one in use, or the embedded model's."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Instances per package, newest first; all if unset.", min=1)] = None,
    items: Annotated[int, typer.Option(help="Evaluation items that are answered.", min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Optimizer steps of the training.", min=1)] = 3,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the page goes; rehearsal in the data directory.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the complete loop once on the repo packages here, and say "operational" or the first thing that is not.

    Checks of this machine, gold and null, a student's try, a dataset, a short training, an evaluation, a gate, a
    promotion and a rollback, in databases of its own: nothing of it is trained on later, and what serves stays. Stopped
    in the middle, the same command goes on where it was. Exits with 1 when something is not operational.
    """
    settings = load_settings()
    folder = (out or settings.data_dir / "rehearsal").resolve()
    with contextlib.ExitStack() as stack:
        server = read_connection(settings) is not None or bool(os.environ.get(NAMED))
        if server:
            stack.enter_context(server_client_settings(settings))
            settings = load_settings()
        report = _rehearse(settings, folder, server, packages, base, limit, items, steps)
    if as_json:
        print_json(_shown(report, folder))
    else:
        _print(report, folder)
    _write(folder, report)  # last: a full disk is a finding too
    if not report.operational:
        raise typer.Exit(1)


def _rehearse(
    settings: Settings,
    folder: Path,
    server: bool,
    packages: list[Path] | None,
    base: str | None,
    limit: int | None,
    items: int,
    steps: int,
) -> RehearsalReport:
    started = time.monotonic()
    machine = machine_evidence(examine(settings), time.monotonic() - started)
    if machine.verdict == "failed":
        return report_of((machine,), code_version(), folder / "state")
    try:
        there = tuple(path.resolve() for path in packages or corpus_packages([], settings))
    except UsageError as error:
        from training.cycle.rehearsal import failed_step

        return report_of((machine, failed_step("packages", str(error))), code_version(), folder / "state")
    order = RehearsalOrder(
        out=folder,
        packages=there,
        base=base,
        limit=limit,
        items=items,
        training_steps=steps,
        server=server,
    )
    with flow_context():
        from flows.rehearse import rehearse as rehearse_flow

        report: RehearsalReport = rehearse_flow(order, machine)
    return report


def machine_evidence(findings: list[Finding], seconds: float = 0.0) -> StepEvidence:
    """The evidence of this machine: it fails with the first check that failed, or where tests are not isolated."""
    failed = next((each for each in findings if each.verdict == "failed"), None)
    open_box = next((each for each in findings if each.what == "sandbox" and each.verdict == "warning"), None)
    fault = failed or open_box
    warned = [each for each in findings if each.verdict == "warning"]
    found = tuple(f"{each.what}: {each.found}" for each in ([fault] if fault else findings))
    remedy = fault.remedy if fault else "; ".join(f"{each.what}: {each.remedy}" for each in warned if each.remedy)
    return StepEvidence(
        step="machine",
        verdict="failed" if fault else "warning" if warned else "ok",
        found=found,
        figures={"checks": [each.model_dump(mode="json") for each in findings]},
        remedy=remedy,
        seconds=round(seconds, 2),
    )


def _write(folder: Path, report: RehearsalReport) -> None:
    try:
        make_directory(folder)
    except OSError as error:
        raise InfrastructureError(
            f"{folder} cannot be made: {error.strerror}; give a folder of yours with --out"
        ) from error
    write_atomically(folder / FIGURES, report.model_dump_json(indent=2) + "\n")
    write_page(folder / PAGE, rehearsal_page(report))


def _shown(report: RehearsalReport, folder: Path) -> dict[str, object]:
    return report.model_dump(mode="json") | {
        "seconds": round(report.seconds, 1),
        "size": report.size,
        "page": str(folder / PAGE),
    }


def _print(report: RehearsalReport, folder: Path) -> None:
    rows = [
        (
            each.step,
            Text(each.verdict, style=_STYLES[each.verdict]),
            printable("; ".join(each.found)),
            printable(each.remedy),
            f"{each.seconds:.1f}",
            f"{each.size / 2**20:.1f}",
        )
        for each in report.steps
    ]
    columns = ["step", "verdict", "found", "remedy", "seconds", "MiB"]
    table("Rehearsal", columns, rows, right=["seconds", "MiB"])
    if report.operational:
        done = f"operational: {counted(len(report.steps), 'step')} in {report.seconds:.0f} s"
        console.print(done, style="green", markup=False)
    else:
        last = report.steps[-1]
        console.print(
            f"not operational: {report.missing}: {'; '.join(last.found)}", style="red", markup=False, soft_wrap=True
        )
        if last.remedy:
            console.print(f"remedy: {last.remedy}", markup=False, soft_wrap=True)
    console.print(f"page: {folder / PAGE}", markup=False, soft_wrap=True)
