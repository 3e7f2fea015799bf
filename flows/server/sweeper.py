"""Ends on the server what died with its process: task runs and subflows of our flow runs that are over.

The server marks a silent flow run as crashed (see `automations`), but not what ran in it: task runs are reported by
their own process only. Slots of concurrency limits that the dead held are freed with their states.
"""

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterParentTaskRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, TaskRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Crashed

from flows.server.deployments import TAG

EVERY_SECONDS = 15
_REPORT_SECONDS = 60
"""For so long after its end a run's own process may still report the states of its tasks."""
_PENDING_SECONDS = 240
"""After so long a flow run that a worker took, but whose process never began, counts as dead."""
_PAGE = 200
_OVER = [StateType.CRASHED, StateType.FAILED, StateType.CANCELLED, StateType.COMPLETED]
_UNFINISHED = [StateType.RUNNING, StateType.PENDING]
_logger = logging.getLogger("prefect.clean-room.sweeper")


def sweep_forever() -> None:
    """Sweep again and again until the process is ended; a server that does not answer is asked again later."""
    while True:
        try:
            with get_client(sync_client=True) as client:
                if ended := sweep(client):
                    _logger.warning("ended what %d dead runs had left running", ended)
        except (httpx.HTTPError, PrefectHTTPStatusError, OSError) as error:
            _logger.warning("the server does not answer: %s", type(error).__name__)
        time.sleep(EVERY_SECONDS)


def sweep(client: SyncPrefectClient, now: datetime | None = None) -> int:
    """End the task runs and subflows that died with their flow run; returns how many runs were ended."""
    dead = _DeadRuns(client, now or datetime.now(UTC))
    return _never_began(client, dead.now) + _subflows(client, dead) + _tasks(client, dead)


def mark_stopped(client: SyncPrefectClient, flow_runs: list[str]) -> None:
    """Mark flow runs whose processes were stopped as crashed, with what ran in them, unless they are over."""
    for each in flow_runs:
        run = client.read_flow_run(UUID(each))
        if run.state is None or run.state.type not in _OVER:
            client.set_flow_run_state(run.id, _dead("its processes were stopped and are silent"), force=True)
    sweep(client)


class _DeadRuns:
    """Which of our flow runs are over and report nothing any more; each is asked for once."""

    def __init__(self, client: SyncPrefectClient, now: datetime) -> None:
        self._client, self.now = client, now
        self._known: dict[UUID, str | None] = {}

    def cause(self, flow_run: UUID) -> str | None:
        """Why what is left of a flow run is dead; None if it is not."""
        if flow_run not in self._known:
            self._known[flow_run] = self._cause(self._client.read_flow_run(flow_run))
        return self._known[flow_run]

    def _cause(self, run: FlowRun) -> str | None:
        state = run.state
        if state is None or state.type not in _OVER:
            return None
        silent = state.type is StateType.CRASHED and "silent" in (state.message or "")
        if not silent and state.timestamp > self.now - timedelta(seconds=_REPORT_SECONDS):
            return None
        return f"its flow run {run.name} is {state.name}" if self._is_ours(run) else None

    def _is_ours(self, run: FlowRun) -> bool:
        """Whether a run, or one that it is a subflow of, is of our deployments: others may use the same server."""
        while TAG not in run.tags:
            if run.parent_task_run_id is None:
                return False
            parent = self._client.read_task_run(run.parent_task_run_id).flow_run_id
            if parent is None:
                return False
            run = self._client.read_flow_run(parent)
        return True


def _tasks(client: SyncPrefectClient, dead: _DeadRuns) -> int:
    over = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_OVER)))
    unfinished = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=_UNFINISHED)))
    ended = 0
    found: list[TaskRun] = list(_all(client.read_task_runs, flow_run_filter=over, task_run_filter=unfinished))
    for task in found:
        if task.flow_run_id and (cause := dead.cause(task.flow_run_id)):
            client.set_task_run_state(task.id, _dead(cause), force=True)
            ended += 1
    return ended


def _subflows(client: SyncPrefectClient, dead: _DeadRuns) -> int:
    """End subflows whose parent is over. A run of a deployment has a process of its own, and is left alone."""
    within = FlowRunFilter(
        parent_task_run_id=FlowRunFilterParentTaskRunId(is_null_=False),
        deployment_id=FlowRunFilterDeploymentId(is_null_=True),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)),
    )
    ended = 0
    found: list[FlowRun] = list(_all(client.read_flow_runs, flow_run_filter=within))
    for run in found:
        assert run.parent_task_run_id is not None
        parent = client.read_task_run(run.parent_task_run_id).flow_run_id
        if parent and (cause := dead.cause(parent)):
            client.set_flow_run_state(run.id, _dead(f"{cause}, silent"), force=True)
            ended += 1
    return ended


def _never_began(client: SyncPrefectClient, now: datetime) -> int:
    """Mark flow runs as crashed that a worker took and did not start: it died in between, and nobody beats for them."""
    taken = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PENDING])),
    )
    ended = 0
    for run in _all(client.read_flow_runs, flow_run_filter=taken):
        if run.deployment_id and run.state and run.state.timestamp < now - timedelta(seconds=_PENDING_SECONDS):
            client.set_flow_run_state(run.id, _dead(f"no process began it within {_PENDING_SECONDS} s"), force=True)
            ended += 1
    return ended


def _dead(cause: str) -> State[Any]:
    return Crashed(message=f"{cause}; start the deployment again, it goes on where it was")


def _all(read: Any, **what: Any) -> Iterator[Any]:
    """All that a paged call of the client's finds."""
    offset = 0
    while page := read(**what, limit=_PAGE, offset=offset):
        yield from page
        offset += _PAGE
