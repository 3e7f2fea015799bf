"""A trajectory as a task that calls its stages' tasks. The database decides what is done; the engine only watches."""

import time
import traceback
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path

from prefect import get_run_logger, tags, task

from harness.candidates import JUDGE_VERSION, judge_candidate
from harness.store import RawStore, sha256, validation_key
from harness.trajectory import Bench, Work, make_planner, outcome_of, work
from models.edits import EditFormat
from models.errors import DatabaseError, EnvironmentFault, InfrastructureError, WheelError
from models.limits import LoopLimits
from models.outcomes import OutcomeKind, Validation
from tasks.caching import RETRY_DELAYS, is_infrastructure, kept_under
from tasks.stages import AsTasks


@dataclass(frozen=True)
class Assignment:
    """A trajectory to be run: an instance, a planner, and where its rows go."""

    key: str
    instance_key: str
    planner: str
    temperature: float
    sample: int
    bench: Bench

    @property
    def label(self) -> str:
        """What a person sees: repository, commit, planner, temperature, sample."""
        name, sha = self.bench.package.manifest.name, self.bench.instance.commit[:7]
        return f"{name}@{sha} {self.planner} t{self.temperature:g} #{self.sample}"

    @property
    def tags(self) -> set[str]:
        """What a person filters by: repository and commit."""
        return {self.bench.package.manifest.name, self.bench.instance.commit[:7]}


@dataclass(frozen=True)
class Desk:
    """What every trajectory of a campaign shares."""

    store: RawStore
    cache_dir: Path
    edit_format: EditFormat
    limits: LoopLimits


@task(
    task_run_name="{label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def run_trajectory(label: str, assignment: Assignment, desk: Desk) -> OutcomeKind:
    """Run a trajectory to an outcome and record it. An infrastructure fault is an outcome, too, and leaves it open."""
    attempt = desk.store.begin_attempt(assignment.key)
    if attempt is None:  # closed meanwhile by another process
        return desk.store.outcome(assignment.key)
    started = time.monotonic()
    done: Work | None = None
    verdict: Validation | None = None
    try:
        with tags(*assignment.tags):  # the stages' tasks bear them as well
            done = _work(assignment, desk, attempt)
            verdict = _validate(assignment, desk, done)
        kind, detail = outcome_of(done, verdict)
    except (InfrastructureError, EnvironmentFault, WheelError) as error:
        kind, detail = fault_of(error), str(error)
        get_run_logger().warning("%s: %s: %s", label, kind.value, error)
    except Exception as error:  # noqa: BLE001 - a bug of ours must not stop the campaign, nor count against a planner
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = fault_of(error)
        detail = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        get_run_logger().exception("%s: a bug of the harness", label)
    desk.store.close_trajectory(
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
    return kind


def fault_of(error: Exception) -> OutcomeKind:
    """The outcome kind of a fault that is nobody's failure."""
    if isinstance(error, EnvironmentFault | WheelError):
        return OutcomeKind.ENVIRONMENT_BROKEN
    cause = error if isinstance(error, OSError) else error.__cause__
    if (isinstance(cause, OSError) and cause.errno == ENOSPC) or "No space left" in str(error):
        return OutcomeKind.DISK_FULL
    return OutcomeKind.HARNESS_ERROR


def _work(assignment: Assignment, desk: Desk, attempt: int) -> Work:
    bench = assignment.bench
    planner = make_planner(assignment.planner, bench, desk.edit_format)
    recorder = desk.store.recorder(assignment.key, attempt)
    return work(
        bench,
        planner,
        recorder,
        desk.limits,
        wrap=lambda planner: AsTasks(planner, desk.store, assignment.key, desk.cache_dir),
    )


def _validate(assignment: Assignment, desk: Desk, done: Work) -> Validation:
    runtime, instance = assignment.bench.runtime, assignment.bench.instance
    conditions = {
        "limits": runtime.limits.model_dump(mode="json"),
        "sandbox": runtime.sandbox.kind,
        "judge": JUDGE_VERSION,
    }
    key = validation_key(assignment.instance_key, sha256(done.canonical()), instance.environment, conditions)
    one = validate_candidate.with_options(**kept_under(key, desk.cache_dir))
    one(key, assignment, desk.store, done)
    if (found := desk.store.find_validation(key)) is not None:
        return found
    one.with_options(refresh_cache=True)(key, assignment, desk.store, done)
    if (found := desk.store.find_validation(key)) is not None:
        return found
    raise DatabaseError(f"validation {key} was stored and is not there; is the database being replaced?")


@task(
    task_run_name="validate",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=True,
    result_serializer="json",
)
def validate_candidate(key: str, assignment: Assignment, store: RawStore, done: Work) -> str:
    """Judge a candidate once per (instance, patch, environment); the result is the key of the verdict."""
    if store.find_validation(key) is None:
        bench = assignment.bench
        verdict, report = judge_candidate(bench.runtime, bench.package, bench.instance, done.changes, key)
        store.store_validation(assignment.instance_key, verdict, report)
    return key
