"""The task of one trajectory. Its parts are nested tasks, by the executor; the database decides what is finished."""

from prefect import get_run_logger, tags
from prefect.client.schemas.objects import State
from prefect.states import Completed, Crashed, Failed

from harness.lifecycle.attempt import AttemptEnding, run_attempt
from harness.runs.campaign_context import Assignment, CampaignContext
from tasks.define import engine_task
from tasks.executor import TaskExecutor


@engine_task("{label}")
def run_trajectory(label: str, assignment: Assignment, context: CampaignContext) -> State[AttemptEnding]:
    """Run a trajectory to an outcome and record it. The state bears the outcome as its name."""
    with tags(*assignment.tags):  # the nested tasks inherit them
        ending = run_attempt(assignment, context, TaskExecutor(context.store, context.cache_dir))
    get_run_logger().info(
        "%s: %s, %.1f s; cra trace %s", ending.kind.value, ending.usage, ending.seconds, assignment.key[:12]
    )
    return state_of(ending)


def state_of(ending: AttemptEnding) -> State[AttemptEnding]:
    """The state of a trajectory's task: completed if it succeeded, failed if the planner did, and crashed, which the
    engine calls faults of the machine, if there is no verdict. Its data is the ending.
    """
    make = Crashed if not ending.kind.final else Failed if ending.kind.failed else Completed
    return make(name=ending.kind.value, message=ending.detail or None, data=ending)


def ending_of(state: State[AttemptEnding]) -> AttemptEnding | None:
    """The ending in a task's state; None if the task broke before there was one."""
    found = state.result(raise_on_failure=False)
    return found if isinstance(found, AttemptEnding) else None
