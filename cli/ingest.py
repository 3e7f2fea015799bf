"""`cra ingest`: repo packages from a medium into the corpus, and the ledger of what arrived."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from cli.options import JsonOption, SandboxOption
from cli.output import console, counted, errors, print_json, printable, table
from cli.progress import step_bars
from host.settings import load_settings
from models.intake import IntakeEvent, IntakeVerdict

_MEDIUM = "medium"


class _WithMedium(TyperGroup):
    """Group whose command `medium` needs no name: `cra ingest DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name before arguments that begin with none."""
        if args and args[0] not in (*self.commands, "--help", "-h"):
            args = [_MEDIUM, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_WithMedium,
    no_args_is_help=True,
    help=(
        "Take repo packages from a medium into the corpus: `cra ingest DIR`. Each is copied into quarantine, checked, "
        "validated in the sandbox, moved in one step, and recorded."
    ),
)
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Make all checks; move nothing into the corpus.")]
KeepOption = Annotated[bool, typer.Option("--keep-refused", help="Keep the copies of refused packages, to look at.")]
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Look at the folder again and again; each package is handled once.")
]


@app.command(name=_MEDIUM)
def medium(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A package, or a folder with packages in it.")],
    watch: WatchOption = False,
    dry_run: DryRunOption = False,
    keep_refused: KeepOption = False,
    sandbox: SandboxOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in every package in a folder, as `cra ingest DIR` does.

    The folder is only read, and each file once. A package that is refused leaves nothing but its line in the ledger;
    one that was interrupted is begun again by the same command. Exit codes: 0 if all are in the corpus, 1 if one was
    refused, 2 for a mistake in the request, 3 without a sandbox.
    """
    from exchange.intake.batch import ingest
    from exchange.intake.batch import watch as looks
    from tasks.intake import open_intake

    with step_bars() as bars:
        context = open_intake(
            load_settings(),
            lambda stage: None,
            bars,
            sandbox=sandbox,
            dry_run=dry_run,
            keep_refused=keep_refused,
        )
        if watch:
            errors.print(f"watching {folder}; Ctrl-C ends it", markup=False, soft_wrap=True)
            for events in looks(context, folder.absolute(), _busy):
                _print(events, as_json)
            return
        events = ingest(context, folder.absolute(), _busy)
    _print(events, as_json)
    if any(event.verdict is IntakeVerdict.REFUSED for event in events):
        raise typer.Exit(1)


@app.command(name="log")
def show_log(
    limit: Annotated[int, typer.Option("--limit", help="Events that are shown, the newest.", min=1)] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show the ledger: what arrived, what became of it, and why."""
    from exchange.intake.ledger import IntakeFolders, read_events

    _print(read_events(IntakeFolders.of(load_settings()))[-limit:], as_json, title="Arrivals")


def _busy(process: str) -> None:
    errors.print(f"waiting for the intake of process {process}", markup=False, soft_wrap=True)


def _print(events: list[IntakeEvent], as_json: bool, title: str = "Packages") -> None:
    if as_json:
        print_json({"events": events})
        return
    table(title, ["at", "package", "verdict", "use", "valid", "MiB", "s", "why"], map(_row, events),
          right=["valid", "MiB", "s"])  # fmt: skip
    for event in events:
        for instance, why in event.lost.items():
            console.print(printable(f"{instance} is not valid here: {why}"), markup=False, soft_wrap=True)
        for wheel in event.package.plugins if event.verdict is not IntakeVerdict.REFUSED else ():
            told = f"{event.package.name}: {wheel} has plugins of pytest; no package here had this file before"
            console.print(printable(told), markup=False, soft_wrap=True)
    refused = sum(event.verdict is IntakeVerdict.REFUSED for event in events)
    console.print(f"{counted(len(events), 'package')}, {refused} refused")


def _row(event: IntakeEvent) -> tuple[object, ...]:
    refused = event.verdict is IntakeVerdict.REFUSED
    package = event.package
    why = printable(f"{event.reason}: {event.detail}") if event.reason is not None else ""
    return (
        event.at[:19].replace("T", " "),
        printable(package.name or Path(package.source).name),
        Text(event.verdict.value, "red" if refused else "green"),
        event.use,
        f"{event.valid} of {package.valid}" if not refused else "",
        f"{package.bytes / (1 << 20):.1f}",
        f"{event.seconds:.1f}",
        why,
    )
