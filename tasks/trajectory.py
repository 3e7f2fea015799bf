"""A trajectory as a task that calls its stages' tasks. The database decides what is done; the engine only watches."""

import threading
import time
import traceback
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path
from typing import NamedTuple

from prefect import get_run_logger, tags, task

from harness.planners.registry import TEAMS
from harness.runs.attempt import AttemptResult, InstanceContext, StepTesting, make_planner, outcome_of, work
from harness.runs.indexes import Indexes
from harness.runs.model_pool import ModelPool
from models.campaign_settings import StepTestMode
from models.edits import EditFormat
from models.errors import (
    CapReached,
    EnvironmentFault,
    InfrastructureError,
    PromptTooLong,
    ProviderError,
    SandboxUnavailable,
    WheelError,
)
from models.limits import LoopLimits
from models.outcomes import OutcomeKind, Validation
from models.protocols import Planner, Recorder
from store.runs import RawStore, digest
from tasks.caching import RETRY_DELAYS, is_infrastructure
from tasks.judging import Judging
from tasks.stages import CachedPlanner, cached_report, judge_of


def _silent(what: str) -> None:
    """Nobody listens."""


class Assignment:
    """A trajectory to be run: an instance, a planner, and where its rows go. Plain, like `CampaignContext`."""

    def __init__(
        self,
        key: str,
        instance_key: str,
        planner: str,
        temperature: float,
        sample: int,
        instance_context: InstanceContext,
    ) -> None:
        self.key, self.instance_key = key, instance_key
        self.planner, self.temperature, self.sample = planner, temperature, sample
        self.instance_context = instance_context

    @property
    def label(self) -> str:
        """What a person sees: repository, commit, planner, temperature, sample."""
        name, sha = self.instance_context.package.manifest.name, self.instance_context.instance.commit[:7]
        return f"{name}@{sha} {self.planner} t{self.temperature:g} #{self.sample}"

    @property
    def tags(self) -> set[str]:
        """What a person filters by: repository and commit."""
        return {self.instance_context.package.manifest.name, self.instance_context.instance.commit[:7]}


class CampaignContext:
    """What every trajectory of a campaign shares. A plain class, so that the engine does not walk through it.

    `edit_format`: None leaves it to the planner. `step_tests`: with auto, tests run after each step of a planner that
    is a model; gold and null, which learn nothing from them, do without. `sandboxes`: how many test runs at a time.
    `measure_tests`: whether the tests that a model wrote are measured once its patch is judged.
    `notify` hears of each question and test run before it begins.
    """

    def __init__(
        self,
        store: RawStore,
        cache_dir: Path,
        pool: ModelPool,
        *,
        edit_format: EditFormat | None = None,
        limits: LoopLimits | None = None,
        step_tests: StepTestMode = StepTestMode.AUTO,
        step_test_seconds: float = 120.0,
        sandboxes: int = 1,
        measure_tests: bool = True,
        notify: Callable[[str], None] = _silent,
    ) -> None:
        self.store, self.cache_dir, self.pool = store, cache_dir, pool
        self.edit_format, self.limits = edit_format, limits or LoopLimits()
        self.step_tests, self.step_test_seconds = step_tests, step_test_seconds
        self.measure_tests, self.notify = measure_tests, notify
        self.slots = threading.BoundedSemaphore(sandboxes)
        self.indexes = Indexes(cache_dir / "index")

    def planner(
        self, name: str, instance_context: InstanceContext, temperature: float = 0.0, sample: int = 0
    ) -> Planner:
        """Who fills the planner slot for an instance."""
        return make_planner(name, instance_context, self.edit_format, temperature, sample, self.pool)

    def testing(self, planner: str) -> StepTesting | None:
        """How tests run after the steps of a planner, if they do."""
        if self.step_tests is StepTestMode.OFF or (self.step_tests is StepTestMode.AUTO and planner not in TEAMS):
            return None
        return StepTesting(
            self.step_test_seconds,
            lambda key, run: cached_report(key, run, self.store, self.cache_dir, self.slots, self.notify),
        )


class AttemptEnding(NamedTuple):
    """How a trajectory's attempt ended."""

    kind: OutcomeKind
    detail: str = ""


@task(
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def run_trajectory(label: str, assignment: Assignment, context: CampaignContext) -> AttemptEnding:
    """Run a trajectory to an outcome and record it. An infrastructure fault is an outcome, too, and leaves it open."""
    attempt = context.store.begin_attempt(assignment.key)
    if attempt is None:  # closed meanwhile by another process
        return AttemptEnding(context.store.outcome(assignment.key))
    started = time.monotonic()
    done: AttemptResult | None = None
    verdict: Validation | None = None
    try:
        with tags(*assignment.tags):  # the stages' tasks bear them as well
            recorder = context.store.recorder(assignment.key, attempt)
            done = do_work(assignment, context, recorder)
            judging = Judging(assignment, context, attempt, done, recorder)
            verdict = judging.validate()
            kind, detail = outcome_of(done, verdict)
            judging.attribute(kind)
            judging.measure(verdict)
    except (InfrastructureError, EnvironmentFault, WheelError, SandboxUnavailable, PromptTooLong) as error:
        kind, detail = fault_of(error), str(error)
        get_run_logger().warning("%s: %s: %s", label, kind.value, error)
    except Exception as error:  # noqa: BLE001 - a bug of ours must not stop the campaign, nor count against a planner
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = fault_of(error)
        detail = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        get_run_logger().exception("%s: a bug of the harness", label)
    context.store.close_trajectory(
        assignment.key,
        attempt,
        kind,
        patch=done.patch if done else "",
        alignment=done.alignment if done else None,
        detail=detail,
        oracle=verdict.oracle if verdict else None,
        validation=verdict.key if verdict else None,
        seconds=round(time.monotonic() - started, 3),
    )
    return AttemptEnding(kind, detail)


_FAULTS: tuple[tuple[type[Exception], OutcomeKind], ...] = (
    (EnvironmentFault, OutcomeKind.ENVIRONMENT_BROKEN),
    (WheelError, OutcomeKind.ENVIRONMENT_BROKEN),
    (ProviderError, OutcomeKind.PROVIDER_ERROR),
    (CapReached, OutcomeKind.CAP_REACHED),
    (SandboxUnavailable, OutcomeKind.SANDBOX_ERROR),
    (PromptTooLong, OutcomeKind.PROMPT_TOO_LONG),
)


def fault_of(error: Exception) -> OutcomeKind:
    """The outcome kind of an error that ended an attempt; only a prompt too long says something of a model."""
    for fault, kind in _FAULTS:
        if isinstance(error, fault):
            return kind
    cause = error if isinstance(error, OSError) else error.__cause__
    if (isinstance(cause, OSError) and cause.errno == ENOSPC) or "No space left" in str(error):
        return OutcomeKind.DISK_FULL
    return OutcomeKind.HARNESS_ERROR


def do_work(assignment: Assignment, context: CampaignContext, recorder: Recorder) -> AttemptResult:
    """Let the planner work, its answers and its steps' tests as tasks. Raises InfrastructureError, PromptTooLong."""
    instance_context = assignment.instance_context
    planner = context.planner(assignment.planner, instance_context, assignment.temperature, assignment.sample)
    return work(
        instance_context,
        planner,
        recorder,
        context.limits,
        wrap=lambda planner: _as_tasks(planner, assignment, context),
        index=context.indexes.of(instance_context.package, instance_context.instance.base_commit)
        if planner.judges
        else None,
        testing=context.testing(assignment.planner),
    )


def _as_tasks(planner: Planner, assignment: Assignment, context: CampaignContext) -> CachedPlanner:
    return CachedPlanner(
        planner,
        context.store,
        asker=digest(
            assignment.instance_key, planner.name, planner.identity, assignment.temperature, assignment.sample
        ),
        judge=digest(assignment.instance_key, judge_of(planner)),
        cache_dir=context.cache_dir,
        notify=context.notify,
    )
