"""The task of one trajectory. Its parts are tasks within it, by the executor; the database decides what is done."""

from prefect import tags

from harness.lifecycle.attempt import AttemptEnding, run_attempt
from harness.runs.campaign_context import Assignment, CampaignContext
from tasks.define import engine_task
from tasks.executor import TaskExecutor


@engine_task("{label}")
def run_trajectory(label: str, assignment: Assignment, context: CampaignContext) -> AttemptEnding:
    """Run a trajectory to an outcome and record it."""
    with tags(*assignment.tags):  # the tasks of its parts bear them as well
        return run_attempt(assignment, context, TaskExecutor(context.store, context.cache_dir))
