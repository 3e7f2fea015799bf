"""Running flows in this process, with live progress. The same flows run from deployments without any of this."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, TaskID

from cli.engine import own_engine
from cli.guard import start_guard
from cli.output import errors, progress
from models.errors import CleanRoomError, UsageError

if TYPE_CHECKING:
    from flows.score import ScoreReport
    from flows.solve import SolveReport
    from flows.supplement import SupplementReport
    from flows.validate import ValidateReport
    from harness.runs.campaigns import Estimate
    from harness.runs.solving import SolveOrder
    from models.campaign_settings import Grid
    from models.manifest import Manifest
    from models.targets import Role, TrainingTarget
    from store.runs import CampaignReport
    from training.bases.bases import Base
    from training.cycle.comparison import Compared
    from training.cycle.improvement import ImproveReport
    from training.cycle.orders import TrainReport


class ProgressBars:
    """A watcher that draws a bar per stage, or prints a line per unit where nobody sees bars move."""

    def __init__(self, display: Progress) -> None:
        self._display = display
        self._tasks: dict[str, TaskID] = {}
        self._waiting: TaskID | None = display.add_task("starting", total=None, note="")

    def start(self, what: str, total: int | None, done: int = 0) -> None:
        """Add a bar; what was done before says nothing about its rate."""
        _stop_at_once()  # the engine has taken SIGTERM for itself when a flow began, to wait for what is running
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


@contextmanager
def _engine() -> Iterator[None]:
    """The engine's quiet, in-process form; a server named by PREFECT_API_URL is used if there is one."""
    from host.settings import load_settings

    start_guard()
    own_engine(load_settings().data_dir)
    from flows.progress import watched_by

    _stop_at_once()
    if not errors.is_terminal:
        errors.print("starting")
    with progress() as display, watched_by(ProgressBars(display)):
        yield


def _stop_at_once() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    """End at once: nothing that was stored is lost by it, and an engine that is asked first takes a minute."""
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGTERM)
    sys.stderr.write("\x1b[?25h" if sys.stderr.isatty() else "")  # the cursor, which the progress bars hid
    sys.stderr.write("\nstopped; the same command goes on from here\n")
    sys.stderr.flush()
    os._exit(128 + number)


def run_prepare(
    sources: list[str], corpus: Path, max_commits: int, sandbox: str | None
) -> tuple[list["Manifest"], dict[str, str]]:
    """Prepare each source; one that fails does not stop the others. Manifests, and the error by failed source."""
    from host.settings import load_settings
    from repos.transports import refuse_transport
    from tasks.runtime import open_runtime

    open_runtime(load_settings(), sandbox)  # mistakes end before the engine starts
    for source in sources:
        refuse_transport(source)  # before the engine stores it as a parameter
    try:
        corpus.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {corpus} cannot be made: {error.strerror}; give another folder") from error
    manifests, failures = [], {}
    with _engine():
        from flows.prepare import prepare

        for source in sources:
            named = str(Path(source).resolve()) if Path(source).exists() else source
            try:
                manifests.append(prepare(named, corpus, max_commits, sandbox))
            except CleanRoomError as error:
                failures[source] = str(error)
    return manifests, failures


def run_campaign(
    packages: list[Path],
    grid: "Grid",
    name: str,
    *,
    edit_format: str | None = None,
    sandbox: str | None = None,
    step_tests: str = "auto",
    max_cost: float | None = None,
    max_tokens: int | None = None,
    unasked: bool = False,
) -> "CampaignReport":
    """Run a campaign to its end and return its report. Raises UsageError before the engine starts for a mistake.

    Asks first when it may cost more than its cap, or without one than the setting, unless `unasked`.
    """
    from harness.packages.package import read_package
    from harness.planners.registry import check_planners
    from harness.runs.campaigns import campaign_config, estimate
    from harness.runs.model_pool import ModelPool
    from host.settings import load_settings
    from models.campaign_settings import StepTestMode
    from models.edits import EditFormat
    from store.runs import campaign_key, open_raw_store
    from tasks.runtime import open_runtime

    settings = load_settings()
    runtime = open_runtime(settings, sandbox)
    check_planners(grid.planners)
    grid.check()
    if edit_format is not None and edit_format not in tuple(EditFormat):
        raise UsageError(f"--edit-format {edit_format} is unknown; use {' or '.join(EditFormat)}")
    if step_tests not in tuple(StepTestMode):
        raise UsageError(f"--step-tests {step_tests} is unknown; use {', '.join(StepTestMode)}")
    opened = [read_package(package) for package in packages]
    written, tested = EditFormat(edit_format) if edit_format else None, StepTestMode(step_tests)
    config = campaign_config(opened, grid, written, tested, settings, runtime.sandbox.kind)
    store = open_raw_store(settings.raw_url)
    if expected := estimate(
        store, campaign_key(config), opened, grid, ModelPool(settings.models, curated=settings.curated_url)
    ):
        _ask(expected, settings.campaign.ask_above_cost if max_cost is None else max_cost, unasked)
    with _engine():
        from flows.campaign import campaign

        return campaign(
            packages,
            list(grid.planners),
            name,
            written,
            sandbox,
            temperatures=list(grid.temperatures),
            samples=grid.samples,
            limit=grid.limit,
            max_cost=max_cost,
            max_tokens=max_tokens,
            step_tests=tested,
        )


def _ask(expected: "Estimate", limit: float, unasked: bool) -> None:
    """Say what a campaign may take, and ask if that is more than the limit. Raises UsageError for a no."""
    errors.print(str(expected), markup=False)
    if unasked or expected.cost <= limit:
        return
    more = f"it may cost {expected.cost:.2f}, more than {limit:g}"
    if not sys.stdin.isatty():
        raise UsageError(f"{more}, and nobody can be asked; give --yes, or a higher --max-cost")
    errors.print(f"{more}; go on? \\[y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not begun; --limit, --samples and --temperatures make a campaign smaller")


def run_solve(
    order: "SolveOrder",
    planner: str,
    temperature: float,
    sample: int,
    edit_format: str | None,
    max_cost: float | None,
    max_tokens: int | None,
    sandbox: str | None,
) -> "SolveReport":
    """Work an order off and return what came of it. Raises UsageError before the engine starts for a mistake."""
    from host.settings import load_settings
    from models.edits import EditFormat
    from tasks.runtime import open_runtime

    open_runtime(load_settings(), sandbox)
    if edit_format is not None and edit_format not in tuple(EditFormat):
        raise UsageError(f"--edit-format {edit_format} is unknown; use {' or '.join(EditFormat)}")
    label = order.task if len(order.task) <= 60 else order.task[:59] + "…"
    with _engine():
        from flows.solve import SolveRequest, solve

        attempt = SolveRequest(
            planner=planner,
            temperature=temperature,
            sample=sample,
            edit_format=EditFormat(edit_format) if edit_format else None,
            max_cost=max_cost,
            max_tokens=max_tokens,
        )
        return solve(label, order, attempt, sandbox)


def run_supplement(
    packages: list[Path], limit: int | None, max_cost: float | None, sandbox: str | None
) -> "SupplementReport":
    """Let the teacher write the tests that packages lack. Raises UsageError before the engine starts for a mistake."""
    from harness.packages.package import read_package
    from host.settings import load_settings
    from llm import open_router
    from tasks.runtime import open_runtime

    settings = load_settings()
    open_runtime(settings, sandbox)
    open_router(settings.models, "teacher")
    for package in packages:
        read_package(package)
    with _engine():
        from flows.supplement import supplement

        return supplement([package.resolve() for package in packages], limit, max_cost, sandbox)


def run_validate(predictions: Path, corpora: list[Path], sandbox: str | None) -> "ValidateReport":
    """Judge a file of predictions. Raises UsageError before the engine starts for a mistake."""
    from exchange.predictions import find_packages, read_predictions
    from harness.packages.package import read_package
    from host.settings import load_settings
    from store.runs import open_raw_store
    from tasks.runtime import open_runtime

    settings = load_settings()
    open_runtime(settings, sandbox)
    with predictions.open(encoding="utf-8") as lines:
        wanted = read_predictions(lines)
    packages = find_packages(corpora, open_raw_store(settings.raw_url), {each.instance_id for each in wanted})
    for package in packages:
        read_package(package)
    with _engine():
        from flows.validate import validate

        return validate(predictions.resolve(), packages, sandbox)


def run_train(order: "dict[str, Any]") -> "TrainReport":
    """Train an adapter and gate it. What is missing is said before the engine starts."""
    with _engine():
        from flows.train import train
        from flows.training_context import open_training_context
        from training.cycle.lifecycle import find_inputs
        from training.cycle.orders import TrainOrder

        wanted = TrainOrder.model_validate(order)
        find_inputs(open_training_context(), wanted)
        return train(wanted)


def run_evaluate(
    target: "TrainingTarget", adapter: str, against: str | None, base: str | None, item_level: bool
) -> "Compared":
    """Set two subjects against each other. What is missing is said before the engine starts."""
    with _engine():
        from flows.evaluate import evaluate
        from flows.training_context import open_training_context
        from training.cycle.comparison import find_contest

        find_contest(open_training_context(), target, adapter, against, base)
        return evaluate(target, adapter, against, base, item_level)


def run_score(
    target: "TrainingTarget", campaigns: tuple[str, ...], limit: int | None, max_cost: float | None
) -> "ScoreReport":
    """Have a teacher score the student's answers. Raises UsageError before the engine starts if there is none."""
    from host.settings import load_settings
    from llm import open_router

    open_router(load_settings().models, "teacher")
    with _engine():
        from flows.score import score

        return score(target, campaigns, limit, max_cost)


def run_tune(role: "Role", base: str, dataset: Path) -> "Base":
    """Fine-tune a base in full."""
    with _engine():
        from flows.tune import tune

        return tune(role, base, dataset.resolve())


def run_self_improve(order: "dict[str, Any]", rounds: int) -> "ImproveReport":
    """Run rounds of self-improvement."""
    with _engine():
        from flows.self_improve import self_improve
        from training.cycle.improvement import ImproveOrder

        return self_improve(ImproveOrder.model_validate(order), rounds)
