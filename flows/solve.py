"""The solve flow: from a task on a user's own repository to a tested patch, with a full record.

The lifecycle is `harness.lifecycle.solving.solve_order`; here each call and test run is a task, so that the same
order resumes after the last finished one.
"""

from functools import partial

from prefect import flow, tags
from prefect.artifacts import create_markdown_artifact

from agent.prompts.render import fenced
from flows.progress import progress_listener
from harness.lifecycle.solving import SolveReport, SolveRequest, solve_order
from harness.runs.solving import SolveOrder
from host.settings import load_settings
from store.runs import open_raw_store
from tasks.executor import TaskExecutor
from tasks.runtime import open_runtime

__all__ = ["SolveReport", "SolveRequest", "solve"]

_WORK = "solve"


@flow(name="solve", flow_run_name="solve {label}", persist_result=False)
def solve(label: str, order: SolveOrder, attempt: SolveRequest, sandbox: str | None = None) -> SolveReport:
    """Execute an order. The same order again returns its result, or resumes if it was interrupted.

    Raises UsageError and RepositoryError for a bad order, InfrastructureError if no model could be reached.
    """
    settings = load_settings()
    runtime, store = open_runtime(settings, sandbox), open_raw_store(settings.raw_url)
    progress = progress_listener()
    progress.start(_WORK, None)
    with tags("solve"):
        executor = TaskExecutor(store, settings.cache_dir)
        solved = solve_order(order, attempt, settings, runtime, store, executor, partial(progress.advance, _WORK))
    create_markdown_artifact(
        key=f"solve-{solved.trajectory[:12]}",
        markdown=f"**{solved.outcome.value}**: {solved.detail}\n\n{fenced(solved.work.patch, 'diff')}\n",
        description="Result of the task",
    )
    return solved
