"""What follows a trajectory's work, as tasks: the verdict, the stage at fault, and what its own tests are worth."""

from typing import TYPE_CHECKING

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from harness.attribution import attribute_attempt, stored_judge
from harness.attribution.experiments import judging_key
from harness.planners.registry import PLANNERS, TEAMS
from harness.runs.attempt import AttemptResult
from harness.test_quality import measurable, measure_own_tests
from models.attribution import attributable
from models.errors import DatabaseError, EnvironmentFault, InfrastructureError, SandboxUnavailable, WheelError
from models.outcomes import OutcomeKind, Validation
from store.runs import AttemptRecorder
from tasks.caching import RETRY_DELAYS, cache_options, commit_eagerly, is_infrastructure

if TYPE_CHECKING:
    from tasks.trajectory import Assignment, CampaignContext


class Judging:
    """A candidate to be judged, its attempt to be attributed, its own tests to be measured."""

    def __init__(
        self,
        assignment: "Assignment",
        context: "CampaignContext",
        attempt: int,
        done: AttemptResult,
        recorder: AttemptRecorder,
    ) -> None:
        self.assignment, self.context, self.attempt, self.done = assignment, context, attempt, done
        self.recorder = recorder

    @property
    def key(self) -> str:
        return judging_key(self.assignment.instance_context, self.assignment.instance_key, self.done.changes)

    def validate(self) -> Validation:
        """The verdict: found, by the engine's memory or the database, or reached now."""
        key, store = self.key, self.context.store
        one = validate_candidate.with_options(**cache_options(key, self.context.cache_dir))
        with commit_eagerly():
            one(key, self)
        if (found := store.find_validation(key)) is not None:
            return found
        one.with_options(refresh_cache=True)(key, self)
        if (found := store.find_validation(key)) is not None:
            return found
        raise DatabaseError(f"validation {key} was stored and is not there; is the database being replaced?")

    def judge(self) -> None:
        with self.context.slots:
            stored_judge(self.context.store, self.assignment.instance_context, self.assignment.instance_key)(
                self.done.changes
            )

    def attribute(self, outcome: OutcomeKind) -> None:
        """Find out by experiment which stage failed, if this is a failure of a model's."""
        if self.assignment.planner not in TEAMS or not attributable(outcome):
            return
        try:
            attribute_failure.with_options(cache_policy=NO_CACHE)(self, outcome)
        except (InfrastructureError, EnvironmentFault, WheelError):
            raise
        except Exception:  # noqa: BLE001 - the verdict stands without an attribution
            get_run_logger().exception("%s: a bug of the attribution", self.assignment.label)

    def experiment(self, outcome: OutcomeKind) -> str:
        assert self.done.solution is not None, "a solution lies behind all work"
        with self.context.slots:
            found = attribute_attempt(
                self.context.store,
                self.assignment.key,
                self.attempt,
                self.assignment.instance_key,
                self.assignment.instance_context,
                self.done.solution,
                self.done.changes,
                outcome,
                planned=PLANNERS[self.assignment.planner].plans,
            )
        return found.label.value if found else ""

    def measure(self, verdict: Validation) -> None:
        """Find out what the tests that a model wrote are worth. Whatever goes wrong here, the verdict stands."""
        wanted = self.context.measure_tests and self.assignment.planner in TEAMS
        if not wanted or not measurable(self.done.changes, verdict.kind):
            return
        try:
            measure_tests.with_options(cache_policy=NO_CACHE)(self)
        except (InfrastructureError, EnvironmentFault, WheelError, SandboxUnavailable) as error:
            get_run_logger().warning("%s: its own tests were not measured: %s", self.assignment.label, error)
        except Exception:  # noqa: BLE001 - the verdict stands without a measurement
            get_run_logger().exception("%s: a bug of the measurement of tests", self.assignment.label)

    def measured(self) -> str:
        self.context.notify(f"{self.assignment.label}: the tests it wrote")
        with self.context.slots:
            found = measure_own_tests(
                self.context.store,
                self.assignment.instance_context,
                self.assignment.instance_key,
                self.done.changes,
                self.recorder,
            )
        return found.sentence


@task(
    task_run_name="validate",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=True,
    result_serializer="json",
)
def validate_candidate(key: str, judging: Judging) -> str:
    """Judge a candidate once per (instance, patch, environment); the result is the key of the verdict."""
    judging.judge()
    return key


@task(
    task_run_name="attribute",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def attribute_failure(judging: Judging, outcome: OutcomeKind) -> str:
    """Attribute a failed attempt to a stage; the label."""
    return judging.experiment(outcome)


@task(
    task_run_name="measure tests",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def measure_tests(judging: Judging) -> str:
    """Measure the tests that an attempt wrote; what was found, in a sentence."""
    return judging.measured()
