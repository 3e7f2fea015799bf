"""`cra operate`: unattended rounds of self-improvement, until a rule, a plateau or a lack of repositories ends them."""

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.flow_context import flow_context
from cli.options import (
    AbandonOption,
    EndToEndLimitOption,
    EndToEndOption,
    InstancesOption,
    ItemLevelOption,
    JsonOption,
    OnlyBaseOption,
    OrganisationsOption,
    SamplesOption,
    TemperaturesOption,
    parse_temperatures,
)
from cli.output import console, counted, errors, print_json, printable, spinner, table
from host.settings import load_settings
from models.errors import InfrastructureError
from models.targets import TrainingTarget

if TYPE_CHECKING:
    from training.cycle.context import TrainingContext
    from training.operation.history import OperationHistory
    from training.operation.orders import OperateOrder, OperateReport
    from training.operation.retention import RetentionPlan

_LOOK_SECONDS = 60.0
"""How often a waiting operation looks whether a repository has arrived."""
_RETRIES, _RETRY_SECONDS = 288, 300.0
"""How often a round is tried again after a fault of the machine, and the seconds between: a day in all."""

_Every = Annotated[
    str | None,
    typer.Option(
        "--every", metavar="SCHEDULE", help="Stay, and begin one hourly, daily, weekly, every 7d or 12h, or by cron."
    ),
]
_GoOn = Annotated[
    str | None, typer.Option("--go-on", metavar="REASON", help="Go on after a stop or a plateau; it is recorded.")
]


def operate(
    rounds: Annotated[
        int | None, typer.Option(help="Rounds at most; 1 if unset, with --every no such limit.", min=1)
    ] = None,
    every: _Every = None,
    go_on: _GoOn = None,
    plan_retention: Annotated[
        bool, typer.Option("--plan-retention", help="Show what would be deleted, and why; change nothing.")
    ] = False,
    show_status: Annotated[
        bool, typer.Option("--status", help="Show where it stands and what wants a person; change nothing.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="Write the weekly page to FILE.", dir_okay=False)
    ] = None,
    stage: Annotated[
        list[TrainingTarget] | None,
        typer.Option("--stage", help="Repeat for several; those whose turn has come if unset."),
    ] = None,
    base: OnlyBaseOption = None,
    temperatures: TemperaturesOption = "0.6",
    samples: SamplesOption = 2,
    limit: InstancesOption = None,
    min_organisations: OrganisationsOption = None,
    item_level: ItemLevelOption = False,
    abandon: AbandonOption = False,
    end_to_end: EndToEndOption = None,
    end_to_end_limit: EndToEndLimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run rounds of self-improvement unattended, within the disk, until a rule, a plateau or a lack of repositories.

    What was stopped, also by a power cut, goes on with the same command. Exits with 0 when it is done, with 4 when a
    rule stopped it and a person is wanted, and with 5 when it waits for repositories.
    """
    reserved = tuple(path.resolve() for path in end_to_end or ())
    drawn = parse_temperatures(temperatures)
    from training.cycle.improvement import ImproveOrder
    from training.operation.orders import OperateOrder

    order = OperateOrder(
        improve=ImproveOrder(
            targets=tuple(stage or ()),
            base=base,
            temperatures=drawn,
            samples=samples,
            limit=limit,
            min_organisations=min_organisations,
            item_level=item_level,
            abandon=abandon,
            end_to_end=reserved,
            end_to_end_limit=end_to_end_limit,
        ),
        whole_runs=reserved,
        continued=(go_on or "").strip(),
    )
    if plan_retention:
        _show_plan(as_json)
    elif show_status or page is not None:
        _show_history(order, page, as_json)
    else:
        _run(order, rounds, every, as_json)


def _run(order: "OperateOrder", rounds: int | None, every: str | None, as_json: bool) -> None:
    from training.operation.standing import EXIT_CODES

    if every is not None:
        _seconds(every)  # raises for what is no schedule
    with flow_context():
        from flows.operate import operate as operate_flow

        report = _stay(order, rounds, every) if every is not None else operate_flow(order, rounds or 1)
        _keep_page(order, report)
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if code := EXIT_CODES[report.standing.state]:
        raise typer.Exit(code)


def _stay(order: "OperateOrder", rounds: int | None, every: str) -> "OperateReport":
    """Rounds on a schedule until the operation is done or stopped. Waiting is by the time since boot: a clock that
    jumps moves no round."""
    from training.cycle.improvement import TargetLine
    from training.operation.standing import State

    done, lines = list[int](), list[TargetLine]()
    while True:
        next_round, there = time.monotonic() + _seconds(every), _manifests()
        report = _one_turn(order)
        improve = order.improve.model_copy(update={"abandon": False})
        order = order.model_copy(update={"continued": "", "improve": improve})
        _keep_page(order, report)
        done, lines = [*done, *report.turns], [*lines, *report.lines]
        whole = report.model_copy(update={"turns": tuple(done), "lines": tuple(lines)})
        if report.standing.state in (State.DONE, State.STOPPED) or (rounds is not None and len(done) >= rounds):
            return whole
        if report.standing.state is State.WAITING:
            _await_repository(report.standing.reason, there)
        else:
            time.sleep(max(0.0, next_round - time.monotonic()))


def _one_turn(order: "OperateOrder") -> "OperateReport":
    """A turn, again after a fault of the machine (a server that is away, a disk that hiccups), for a day at most."""
    from flows.operate import operate as operate_flow

    for _ in range(_RETRIES):
        try:
            return operate_flow(order, 1)
        except InfrastructureError as error:
            errors.print(f"{printable(str(error))}; trying again", markup=False, soft_wrap=True)
            time.sleep(_RETRY_SECONDS)
    return operate_flow(order, 1)


def _seconds(every: str) -> float:
    """Seconds until the next round of a schedule. Raises UsageError for what is none."""
    from flows.cron import seconds_until
    from training.operation.schedule import interval_seconds

    seconds = interval_seconds(every)
    return seconds_until(every) if seconds is None else float(seconds)


def _await_repository(reason: str, before: set[Path]) -> None:
    """Wait until the corpus holds other packages than `before` the turn: one may have arrived in the meantime."""
    errors.print(printable(reason), markup=False, soft_wrap=True)
    while _manifests() == before:
        time.sleep(_LOOK_SECONDS)


def _manifests() -> set[Path]:
    return set(load_settings().corpus.glob("*/manifest.json"))


def _context() -> "TrainingContext":
    from training.cycle.context import open_context

    return open_context(load_settings())


def _show_plan(as_json: bool) -> None:
    from training.operation.retention import plan_retention
    from training.operation.turn import is_idle

    context = _context()
    with spinner("measuring the disk"):
        plan = plan_retention(context, is_idle(context))
    if as_json:
        print_json({**plan.model_dump(mode="json"), "freed": plan.freed, "short": plan.short})
    else:
        _print_plan(plan)


def _print_plan(plan: "RetentionPlan") -> None:
    rows = [("yes", item.kind.value, _mib(item.bytes), str(item.path), item.why) for item in plan.going]
    rows += [("", item.kind.value, _mib(item.bytes), str(item.path), item.why) for item in plan.staying]
    table("What may be deleted", ["goes now", "kind", "MiB", "path", "why"], rows, right=["MiB"])
    console.print(
        f"{_mib(plan.disk.used)} MiB used, {_mib(plan.disk.free)} MiB free; {_mib(plan.excess)} MiB must go, "
        f"{_mib(plan.freed)} MiB would"
    )
    if plan.short:
        console.print(f"[red]{_mib(plan.short)} MiB are missing: a round would stop by the rule disk[/]")


def _history(order: "OperateOrder") -> "OperationHistory":
    from exchange.intake.ledger import IntakeFolders, read_events
    from training.operation.history import read_history
    from training.operation.log import OperationLog
    from training.operation.packages import trainable_packages

    context = _context()
    with spinner("reading"):
        log = OperationLog(context.settings.data_dir)
        ledger = read_events(IntakeFolders.of(context.settings))
        return read_history(context, lambda: trainable_packages(context), order, log, ledger)


def _show_history(order: "OperateOrder", page: Path | None, as_json: bool) -> None:
    history = _history(order)
    if page is not None:
        _write_page(history, page)
    if as_json:
        print_json(history)
    elif page is None:
        _print_history(history)


def _keep_page(order: "OperateOrder", report: "OperateReport") -> None:
    """Write the weekly page beside the log after a turn, where the library that draws is installed."""
    from training.operation.log import FOLDER

    file = load_settings().data_dir / FOLDER / "page.html"
    if report.turns and find_spec("matplotlib") is not None:
        _write_page(_history(order), file)


def _write_page(history: "OperationHistory", file: Path) -> None:
    from cli.pages.operation import operation_page
    from cli.pages.render import write_page
    from cli.pages.svg import check_drawing

    check_drawing()
    with spinner("drawing"):
        write_page(file, operation_page(history))
    errors.print(f"{file} holds the page", markup=False, soft_wrap=True)


def _print_history(history: "OperationHistory") -> None:
    rows = [
        (line.round, line.target.value, line.verdict, line.adapter or "-", line.reason)
        for each in history.rounds
        for line in each.lines
    ]
    table("Rounds", ["round", "stage", "verdict", "adapter", "reason"], rows, right=["round"])
    rates = [(r.turn, r.group, f"{r.at_1.value:.3f}", r.k, f"{r.at_k.value:.3f}") for r in history.rates]
    if rates:
        table("Whole runs", ["turn", "repositories", "pass@1", "k", "pass@k"], rates, right=["turn", "pass@1", "k"])
    standing = history.standing
    console.print(f"{standing.state.value}: {printable(standing.reason)}".rstrip(": "), markup=False, soft_wrap=True)
    for wanted in history.wanted:
        console.print(f"wanted: {printable(wanted)}", style="yellow", markup=False, soft_wrap=True)


def _print_report(report: "OperateReport") -> None:
    rows = [(line.round, line.target.value, line.verdict, line.adapter or "-", line.reason) for line in report.lines]
    table(
        f"Operation, {counted(len(report.turns), 'turn')}",
        ["round", "stage", "verdict", "adapter", "reason"],
        rows,
        right=["round"],
    )
    console.print(f"{report.standing.state.value}: {printable(report.standing.reason)}", markup=False, soft_wrap=True)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f}"
