"""Live progress of flows that run in this process, on standard error."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from cli.output import errors
from cli.stopping import stop_at_once

_TOLD_SECONDS = 3.0
_LINE_SECONDS = 10.0


class ProgressBars:
    """Progress listener that draws a bar per stage, or prints a line per unit where standard error is no terminal."""

    def __init__(self, display: Progress) -> None:
        self._display = display
        self._tasks: dict[str, TaskID] = {}
        self._waiting: TaskID | None = display.add_task("starting", total=None, note="")

    def start(self, what: str, total: int | None, done: int = 0) -> None:
        """Add a bar; units that were done before do not count in its rate."""
        stop_at_once()  # the engine installs its own SIGTERM handler when a flow begins, which would wait
        if self._waiting is not None:
            self._display.remove_task(self._waiting)
            self._waiting = None
        new = what not in self._tasks
        if not new:
            self._display.remove_task(self._tasks[what])
        if self._display.disable and (new or done):
            errors.print(f"{what}: {done} of {total}" if done and total and total > 1 else what, markup=False)
        self._tasks[what] = self._display.add_task(what, total=total, completed=done, note="")

    def advance(self, what: str, note: str, by: int = 1) -> None:
        """Move a bar."""
        self._display.advance(self._tasks[what], by)
        self._display.update(self._tasks[what], note=note)
        if self._display.disable:
            errors.print(f"{what}: {note}", markup=False)

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._display.console.print(text, markup=False)


class RateColumn(ProgressColumn):
    """Finished units per minute."""

    def render(self, task: Task) -> Text:
        """The rate so far, or nothing while it is unknown."""
        return Text(f"{task.speed * 60:.1f}/min" if task.speed else "", style="dim")


def progress() -> Progress:
    """Progress display with counts, rate, elapsed and remaining time, on standard error; disabled if that is piped."""
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=errors,
        disable=not errors.is_terminal,
    )


@contextmanager
def stopwatch(what: str) -> Iterator[None]:
    """Show what is waited for and for how long; where standard error is piped, a line. One that took over a few seconds
    is told afterwards."""
    started = time.monotonic()
    with stages(what):
        yield
    if (seconds := time.monotonic() - started) > _TOLD_SECONDS:
        errors.print(f"{what} took {seconds:.0f} s", markup=False, soft_wrap=True)


@contextmanager
def stages(what: str) -> Iterator[Callable[[str], None]]:
    """Show work whose stages are named by calling what this yields, with the time since its start; where standard error
    is piped, a line for each stage."""
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as display:
        task = display.add_task(what, total=None)

        def show(stage: str) -> None:
            display.update(task, description=f"{what}: {stage}" if stage else what)
            if display.disable:
                errors.print(f"{what}: {stage}" if stage else what, markup=False, soft_wrap=True)

        if display.disable:
            show("")
        yield show


@contextmanager
def byte_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A listener of work on bytes (what, bytes done, bytes in all; 0: unknown): a bar with rate and remaining time, or
    where standard error is no terminal a line for each `what` and every few seconds."""
    columns = (
        TextColumn("[bold]{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as display:
        bars: dict[str, TaskID] = {}
        said = 0.0

        def show(what: str, done: int, total: int) -> None:
            nonlocal said
            new = what not in bars
            if new:
                bars[what] = display.add_task(what, total=total or None)
            display.update(bars[what], completed=done)
            if display.disable and (new or time.monotonic() - said > _LINE_SECONDS):
                said = time.monotonic()
                errors.print(f"{what}: {done * 100 // total}%" if total else what, markup=False, soft_wrap=True)

        yield show


@contextmanager
def step_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A listener of steps (what, done, total): a bar for each, or a line a call where standard error is no terminal."""
    with progress() as display:
        bars: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if display.disable:
                errors.print(f"{what}: {done} of {total}", markup=False, soft_wrap=True)
                return
            if what not in bars:
                bars[what] = display.add_task(what, total=total, completed=done, note="")
            display.update(bars[what], completed=done)

        yield show
