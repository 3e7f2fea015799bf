"""`cra validate`: the harness's verdicts on patches that any agent made."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli.flow_context import flow_context
from cli.options import SandboxOption
from cli.output import console, printable, table
from exchange.predictions import find_packages, read_prediction_file
from harness.packages.package import read_package
from host.settings import load_settings
from store.runs import open_raw_store
from tasks.runtime import open_runtime

if TYPE_CHECKING:
    from flows.validate import ValidateReport

_STYLES = {"passed": "green", "passed-unconfirmed": "yellow"}


def validate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS.jsonl",
            help="JSON lines (or JSON: a list, or objects by instance) with instance_id, model_patch and "
            "model_name_or_path.",
            exists=True,
            dir_okay=False,
        ),
    ],
    corpus: Annotated[
        list[Path] | None,
        typer.Option("--corpus", help="A repo package, or a folder of packages; repeat for several."),
    ] = None,
    sandbox: SandboxOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line for each prediction.")] = False,
) -> None:
    """Judge patches by the hidden tests of their instances, as a campaign judges its candidates.

    Each prediction gets one line: passed, passed-unconfirmed (the tests pass, varied ones do not), or why not. What was
    judged before is found again, so the same command goes on where it was stopped. Without --corpus, the packages of
    earlier campaigns and those under corpus/ are used. Exits with 1 when a fault of this machine or of an environment
    left a prediction without a verdict.
    """
    settings = load_settings()
    open_runtime(settings, sandbox)  # mistakes end before the engine starts
    wanted = {each.instance_id for each in read_prediction_file(predictions)}
    packages = find_packages([path.resolve() for path in corpus or []], open_raw_store(settings.raw_url), wanted)
    for package in packages:
        read_package(package)
    with flow_context():
        from flows.validate import validate as validate_flow

        report = validate_flow(predictions.resolve(), packages, sandbox)
    if as_json:
        for line in report.lines:
            print(line.model_dump_json())
    else:
        _show(report)
    if any(line.undecided for line in report.lines):
        raise typer.Exit(1)


def _show(report: "ValidateReport") -> None:
    rows, reasons = [], []
    for line in report.lines:
        p2p = "-" if line.p2p_passed is None else f"{line.p2p_passed}/{line.p2p_total}"
        if line.p2p_not_run:
            p2p += f" ({line.p2p_not_run} not run)"
        f2p = f"{line.f2p_passed}/{line.f2p_total}" if line.f2p_total else "-"
        twins = f"{line.twins_agreed}/{line.twins}" if line.twins else "-"
        outcome = Text(line.outcome, _STYLES.get(line.outcome, "red"))
        rows.append((line.instance_id, line.model_name_or_path, outcome, f2p, p2p, twins))
        if line.reason:
            reasons.append(f"{line.instance_id} {line.model_name_or_path}: {line.reason}")
    columns = ["instance", "model", "outcome", "F2P", "P2P", "twins"]
    table(f"{len(rows)} predictions", columns, rows, right=["F2P", "P2P", "twins"])
    for reason in reasons:
        console.print(Text(printable(reason), "dim"))
    console.print(", ".join(f"{outcome} {count}" for outcome, count in report.counts().items()) or "none", markup=False)
