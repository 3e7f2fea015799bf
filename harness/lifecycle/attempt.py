"""One attempt at a trajectory, from its beginning to its outcome, and the classification of errors that end it.

    begin (a row) -> work (the agent's loop) -> validate (the hidden tests) -> attribute a failure to a stage
    -> measure the tests that it wrote -> close (the outcome's row)

The database decides what is finished. The executor adds what an engine provides (cached results, retries, a view).
"""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from errno import ENOSPC
from functools import partial
from pathlib import Path
from typing import NamedTuple

from harness.attribution import attribute_attempt
from harness.planners.registry import PLANNERS, TEAMS
from harness.runs.attempt import AttemptResult, StepTesting, outcome_of, work
from harness.runs.campaign_context import Assignment, CampaignContext
from harness.runs.executor import DIRECT, AttemptExecutor, PlannerProxy, retrieval_identity
from harness.runs.verdicts import judge_once, verdict_key
from harness.test_quality import measurable, measure_own_tests
from models.attempt_usage import AttemptUsage
from models.attribution import attributable
from models.errors import (
    CapReached,
    DiskFull,
    EnvironmentFault,
    InfrastructureError,
    PromptTooLong,
    ProviderError,
    SandboxUnavailable,
    WheelError,
)
from models.outcomes import OutcomeKind, Validation
from models.protocols import Recorder
from models.suite import SuiteReport
from repos.index.suite_layout import SuiteLayout
from repos.layouts import layout_at
from store.keys import digest


class AttemptEnding(NamedTuple):
    """The end of an attempt at a trajectory.

    `usage` is what it asked, `seconds` its wall time; both are zero for one that was closed by another process.
    `transient`: another attempt may end otherwise, as the fault was of the machine, a provider or a server.
    """

    kind: OutcomeKind
    detail: str = ""
    usage: AttemptUsage = AttemptUsage()
    seconds: float = 0.0
    transient: bool = False


def run_attempt(assignment: Assignment, context: CampaignContext, executor: AttemptExecutor = DIRECT) -> AttemptEnding:
    """Make an attempt at a trajectory and store its outcome. A closed trajectory is not touched.

    A fault of the infrastructure is also an outcome, and leaves the trajectory open. Raises DatabaseError if the
    outcome cannot be stored.
    """
    number = context.store.begin_attempt(assignment.key)
    if number is None:  # closed by another process
        return AttemptEnding(context.store.outcome(assignment.key))
    started = time.monotonic()
    done: AttemptResult | None = None
    verdict: Validation | None = None
    transient = False
    recorder = context.store.recorder(assignment.key, number)
    try:
        attempt = Attempt(assignment, context, executor, number, recorder)
        done = attempt.work()
        recorder.flush()
        verdict = attempt.validate(done)
        kind, detail = outcome_of(done, verdict)
        attempt.attribute(done, kind)
        attempt.measure(done, verdict)
    except (InfrastructureError, EnvironmentFault, WheelError, SandboxUnavailable, PromptTooLong) as error:
        kind, detail = fault_of(error), str(error)
        transient = isinstance(error, InfrastructureError) and not isinstance(error, CapReached)
        executor.logger.warning("%s: %s: %s", assignment.label, kind.value, error)
    except Exception as error:  # a bug of ours must not stop the campaign, nor count against a planner
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = fault_of(error)
        detail = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        executor.logger.exception("%s: a bug of the harness", assignment.label)
    recorder.flush()
    seconds = round(time.monotonic() - started, 3)
    kept = context.store.close_trajectory(
        assignment.key,
        number,
        kind,
        patch=done.patch if done else "",
        alignment=done.alignment if done else None,
        detail=detail,
        oracle=verdict.oracle if verdict else None,
        validation=verdict.key if verdict else None,
        seconds=seconds,
    )
    if not kept:  # the lease ran out meanwhile, and another process closed the trajectory first
        return AttemptEnding(context.store.outcome(assignment.key), "closed by another process first", recorder.usage)
    return AttemptEnding(kind, detail, recorder.usage, seconds, transient)


_FAULTS: tuple[tuple[type[Exception], OutcomeKind], ...] = (
    (EnvironmentFault, OutcomeKind.ENVIRONMENT_BROKEN),
    (WheelError, OutcomeKind.ENVIRONMENT_BROKEN),
    (ProviderError, OutcomeKind.PROVIDER_ERROR),
    (CapReached, OutcomeKind.CAP_REACHED),
    (SandboxUnavailable, OutcomeKind.SANDBOX_ERROR),
    (DiskFull, OutcomeKind.DISK_FULL),
    (PromptTooLong, OutcomeKind.PROMPT_TOO_LONG),
)


def fault_of(error: Exception) -> OutcomeKind:
    """The outcome kind of an error that ended an attempt; only a prompt that is too long concerns the model."""
    for fault, kind in _FAULTS:
        if isinstance(error, fault):
            return kind
    cause = error if isinstance(error, OSError) else error.__cause__
    if (isinstance(cause, OSError) and cause.errno == ENOSPC) or "No space left" in str(error):
        return OutcomeKind.DISK_FULL
    return OutcomeKind.HARNESS_ERROR


@dataclass(frozen=True)
class Attempt:
    """A numbered attempt, each part of which runs through the executor."""

    assignment: Assignment
    context: CampaignContext
    executor: AttemptExecutor
    number: int
    recorder: Recorder

    @property
    def by_model(self) -> bool:
        """Whether the planner is a model, which can be at fault."""
        return self.assignment.planner in TEAMS

    def work(self) -> AttemptResult:
        """Let the planner work on the parent's files. Raises InfrastructureError, EnvironmentFault, PromptTooLong."""
        assignment, context = self.assignment, self.context
        instance_context, sampling = assignment.instance_context, (assignment.temperature, assignment.sample)
        planner = context.planner(assignment.planner, instance_context, *sampling)
        proxy = PlannerProxy(
            planner,
            self.executor,
            asker=digest(assignment.instance_key, planner.name, planner.identity, *sampling),
            retrieval_asker=digest(assignment.instance_key, retrieval_identity(planner)),
            notify=context.notify,
        )
        base = instance_context.instance.base_commit
        index = context.indexes.of(instance_context.package, base) if planner.judges else None
        testing = None
        if context.runs_step_tests(assignment.planner):
            testing = StepTesting(context.step_test_seconds, self._test_report)
        return work(instance_context, proxy, self.recorder, context.limits, index, testing)

    def _test_report(self, key: str, run: Callable[[], SuiteReport]) -> SuiteReport:
        self.context.notify("tests")
        return self.executor.run_tests(key, lambda: self.context.with_sandbox_slot(run))

    def validate(self, done: AttemptResult) -> Validation:
        """The hidden tests' verdict on the change, reached once per instance, change and environment."""
        instance, instance_context = self.assignment.instance_key, self.assignment.instance_context
        key = verdict_key(instance_context, instance, done.changes)
        judge = partial(judge_once, self.context.store, instance_context, instance, done.changes, key)
        return self.executor.validate(key, lambda: self.context.with_sandbox_slot(judge))

    def attribute(self, done: AttemptResult, outcome: OutcomeKind) -> None:
        """Attribute a model's failure to a stage by experiment."""
        if not self.by_model or not attributable(outcome):
            return
        try:
            self.executor.attribute(lambda: self.context.with_sandbox_slot(lambda: self._experiment(done, outcome)))
        except (InfrastructureError, EnvironmentFault, WheelError):
            raise
        except Exception:  # the verdict stands without an attribution
            self.executor.logger.exception("%s: a bug of the attribution", self.assignment.label)

    def _experiment(self, done: AttemptResult, outcome: OutcomeKind) -> str:
        assert done.solution is not None, "a solution lies behind all work"
        found = attribute_attempt(
            self.context.store,
            self.assignment.key,
            self.number,
            self.assignment.instance_key,
            self.assignment.instance_context,
            done.solution,
            done.changes,
            outcome,
            planned=PLANNERS[self.assignment.planner].plans,
        )
        return found.label.value if found else ""

    def measure(self, done: AttemptResult, verdict: Validation) -> None:
        """Measure the tests that a model wrote. Errors here do not affect the verdict."""
        wanted = self.context.measure_tests and self.by_model
        if not wanted or not measurable(done.changes, verdict.kind, self._layout()):
            return
        try:
            self.executor.measure(lambda: self._measurement(done))
        except (InfrastructureError, EnvironmentFault, WheelError, SandboxUnavailable) as error:
            self.executor.logger.warning("%s: its own tests were not measured: %s", self.assignment.label, error)
        except Exception:  # the verdict stands without a measurement
            self.executor.logger.exception("%s: a bug of the measurement of tests", self.assignment.label)

    def _layout(self) -> SuiteLayout:
        instance_context = self.assignment.instance_context
        instance = instance_context.instance
        return layout_at(instance_context.package.git, instance.commit, instance.base_commit)

    def _measurement(self, done: AttemptResult) -> str:
        store, instance_context = self.context.store, self.assignment.instance_context
        self.context.notify(f"{self.assignment.label}: the tests it wrote")
        found = self.context.with_sandbox_slot(
            lambda: measure_own_tests(
                store, instance_context, self.assignment.instance_key, done.changes, self.recorder
            )
        )
        return found.sentence
