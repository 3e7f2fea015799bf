"""The task of one trajectory. Its parts are nested tasks, by the executor; the database decides what is finished."""

from prefect import tags

from harness.lifecycle.attempt import AttemptEnding, run_attempt
from harness.runs.campaign_context import Assignment, CampaignContext
from tasks.define import engine_task
from tasks.executor import TaskExecutor


@engine_task("{label}")
def run_trajectory(label: str, assignment: Assignment, context: CampaignContext) -> AttemptEnding:
    """Run a trajectory to an outcome and record it."""
    with tags(*assignment.tags):  # the nested tasks inherit them
        return run_attempt(assignment, context, TaskExecutor(context.store, context.cache_dir))
