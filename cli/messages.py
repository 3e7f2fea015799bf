"""`cra messages`: descriptions of changes, for commits whose own messages are no tasks."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cli.options import JsonOption
from cli.output import console, counted, print_json, printable, table
from cli.progress import progress
from harness.mining.regenerated import MessageLedger
from harness.supplement.messages import REVISION, THRESHOLD, Regenerated, RegenerationReport
from harness.supplement.messages import regenerate as regenerate_messages
from harness.supplement.messages.asking import Endpoint
from harness.supplement.messages.regeneration import SCORE_TOKENS, WRITE_TOKENS, MessageModels
from harness.supplement.messages.run import clone_of
from host.settings import load_settings
from models.errors import InfrastructureError
from models.messages import MessageRecord

app = typer.Typer(help="Describe the changes of commits whose own messages are no tasks.", no_args_is_help=True)


@app.command()
def regenerate(
    places: Annotated[
        list[Path], typer.Argument(metavar="PATH_OR_PACKAGE...", help="Git repositories, or packages of `cra prepare`.")
    ],
    writer: Annotated[str, typer.Option("--with", metavar="ENDPOINT", help="The model that writes.")],
    judge: Annotated[
        str | None,
        typer.Option("--judge", metavar="ENDPOINT", help="The model that judges; unset: the one that writes."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Commits at most, those decided before not counted.", min=0)] = None,
    threshold: Annotated[float, typer.Option(help="Least mean score that is accepted.", min=1, max=5)] = THRESHOLD,
    max_cost: Annotated[
        float | None, typer.Option(help="Stop before the models have cost more, in the price table's currency.", min=0)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Let a model describe the changes of commits that mining sets aside, and another call judge what it wrote.

    Commits keep their messages; decisions are kept under DATA_DIR/messages. The same command goes on where it was
    stopped, and pays for no answer twice. `cra synthesize --with-messages` uses what is accepted.
    """
    from llm import Meter, open_endpoint

    settings, meter = load_settings(), Meter(max_cost=max_cost)
    models = MessageModels(
        Endpoint(open_endpoint(settings.models, writer, meter), writer, WRITE_TOKENS),
        Endpoint(open_endpoint(settings.models, judge or writer, meter), judge or writer, SCORE_TOKENS),
        threshold,
    )
    with progress() as display:
        bar = display.add_task("messages", total=limit, note="")

        def show(line: Regenerated) -> None:
            display.update(bar, advance=1, note=f"{line.commit.sha[:10]} {line.state}")

        report = regenerate_messages(
            places, models, settings.mining, settings.data_dir, settings.cache_dir, limit=limit, progress=show
        )
    if as_json:
        print_json({**_described(report), "cost": meter.spent.cost, "calls": meter.spent.calls, "revision": REVISION})
    else:
        _print(report, meter.spent.cost)
    if open_ones := [line for line in report.lines if line.record is None]:
        why = report.stopped or f"{counted(len(open_ones), 'commit')} met a fault: {open_ones[0].fault}"
        raise InfrastructureError(f"{why}; the same command goes on from here")


def _described(report: RegenerationReport) -> dict[str, Any]:
    return {
        "aside": report.aside,
        "decided_before": report.decided_before,
        "counts": report.counts(),
        "stopped": report.stopped,
        "commits": [
            {
                "repository": line.repository,
                "commit": line.commit.sha,
                "state": line.state,
                "fault": line.fault,
                "record": line.record,
            }
            for line in report.lines
        ],
    }


def _print(report: RegenerationReport, cost: float) -> None:
    rows = []
    for line in report.lines:
        colour = {"accepted": "green", "undecided": "red"}.get(line.state, "yellow")
        new = _subject(line.record) if line.record else line.fault
        state, mean = Text(line.state, colour), _mean(line.record)
        rows.append((line.commit.sha[:10], state, mean, printable(line.commit.subject), printable(new)))
    table("Messages", ["commit", "state", "score", "original", "description"], rows, right=["score"])
    states = ", ".join(f"{state} {count}" for state, count in report.counts().items()) or "none tried"
    aside = f"{counted(report.aside, 'commit')} set aside, {report.decided_before} decided before"
    console.print(f"{aside}: {states}; cost {cost:.4f}", markup=False, soft_wrap=True)


@app.command()
def show(
    place: Annotated[Path, typer.Argument(metavar="PATH", help="A git repository, or a package of `cra prepare`.")],
    as_json: JsonOption = False,
) -> None:
    """Show the decisions about a repository's commits: what was written, how it was judged, by which models."""
    settings = load_settings()
    with clone_of(place, settings.cache_dir) as git:
        ledger = MessageLedger.of(settings.data_dir, git)
    records = list(ledger.decisions().values())
    if as_json:
        print_json({"file": ledger.path, "records": records})
        return
    table(
        "Messages",
        ["commit", "state", "score", "model", "original", "description"],
        [
            (
                record.commit[:10],
                record.state if record.reason is None else record.reason,
                _mean(record),
                record.model,
                printable(record.original.strip().partition("\n")[0]),
                printable(_subject(record)),
            )
            for record in records
        ],
        right=["score"],
    )
    accepted = sum(record.accepted for record in records)
    console.print(
        f"{ledger.path}: {counted(len(records), 'commit')}, {accepted} accepted", markup=False, soft_wrap=True
    )


def _subject(record: MessageRecord) -> str:
    return record.text.partition("\n")[0] or record.detail


def _mean(record: MessageRecord | None) -> str:
    return f"{record.scores.mean:.2f}" if record and record.scores else "-"
