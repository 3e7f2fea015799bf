"""What the server says of itself: workers, runs, queues, clock."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from flows.server.deployments import TAG, other_version, our_deployments
from host.code_version import code_version
from models.errors import InfrastructureError
from models.plans import Frozen

_STUCK_SECONDS = 120
"""A run that has been late, or said to be pending, for so long is stuck."""
_OFFLINE_FORGOTTEN = timedelta(hours=1)
_RECENT = 5


class WorkerLine(Frozen):
    """A worker of the pool."""

    name: str
    online: bool
    seen: datetime | None


class RunLine(Frozen):
    """A flow run. `stuck` says why it should not be in its state any more; empty if that is fine."""

    name: str
    flow_run: str
    state: str
    since: datetime | None
    stuck: str = ""


class ServerState(Frozen):
    """The server at one moment."""

    version: str
    skew: float
    other_code: str | None
    deployments: int
    workers: tuple[WorkerLine, ...]
    running: tuple[RunLine, ...]
    waiting: int
    recent: tuple[RunLine, ...]


def server_state(client: SyncPrefectClient, pool: str) -> ServerState:
    """The state of a server. Raises InfrastructureError if it does not answer, or not to this password."""
    try:
        deployments = our_deployments(client)
        there = workers(client, pool)
        unfinished = _runs(client, [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING, StateType.PAUSED])
        scheduled = _runs(client, [StateType.SCHEDULED])
        over = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]
        recent = _runs(client, over, FlowRunSort.END_TIME_DESC, _RECENT)
        version, skew = client.api_version(), server_skew(client)
    except (httpx.HTTPError, PrefectHTTPStatusError, OSError) as error:
        raise unreachable(client, error) from error
    now = datetime.now(UTC) - timedelta(seconds=skew)
    online = any(worker.online for worker in there)
    due = [each for each in scheduled if (each.next_scheduled_start_time or now) <= now]
    late = [_line(each, _late(each, now, online)) for each in due]
    return ServerState(
        version=version,
        skew=skew,
        other_code=other_version(deployments, code_version()),
        deployments=len(deployments),
        workers=tuple(there),
        running=(*(_line(each, _pending(each, now)) for each in unfinished), *(each for each in late if each.stuck)),
        waiting=len(due),
        recent=tuple(_line(each) for each in recent),
    )


def server_skew(client: SyncPrefectClient) -> float:
    """Seconds that this machine's clock is ahead of the server's, to about a second. Raises httpx.HTTPError."""
    before = time.time()
    answer = client._client.get("/admin/version")
    said = answer.headers.get("Date")
    if said is None:
        return 0.0
    here = (before + time.time()) / 2
    skew = here - (parsedate_to_datetime(said).timestamp() + 0.5)  # whole seconds, cut off
    return 0.0 if abs(skew) <= 1 else skew


def unreachable(client: SyncPrefectClient, error: Exception) -> InfrastructureError:
    """The error for a server that does not answer, or refuses the password."""
    if isinstance(error, PrefectHTTPStatusError) and error.response.status_code == httpx.codes.UNAUTHORIZED:
        return InfrastructureError(
            f"{client.api_url} refuses the password; set PREFECT_API_AUTH_STRING to USER:PASSWORD"
        )
    if isinstance(error, PrefectHTTPStatusError):
        code = error.response.status_code
        return InfrastructureError(f"{client.api_url} answers with {code}; see whether its database runs: `cra status`")
    return InfrastructureError(
        f"{client.api_url} does not answer ({type(error).__name__}); start it with `cra up`, or see whether "
        "PREFECT_API_URL is right: it ends in /api"
    )


def workers(client: SyncPrefectClient, pool: str) -> list[WorkerLine]:
    """The workers of a pool that are online, or were within the last hour."""
    try:
        answer = client._client.post(f"/work_pools/{pool}/workers/filter", json={})
    except ObjectNotFound:
        return []
    now = datetime.now(UTC)
    lines = []
    for each in answer.json():
        seen = datetime.fromisoformat(each["last_heartbeat_time"]) if each["last_heartbeat_time"] else None
        online = each["status"] == "ONLINE"
        if online or (seen and now - seen < _OFFLINE_FORGOTTEN):
            lines.append(WorkerLine(name=each["name"], online=online, seen=seen))
    return lines


def _runs(
    client: SyncPrefectClient, types: list[StateType], sort: FlowRunSort | None = None, limit: int = 200
) -> list[FlowRun]:
    wanted = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG]), state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types))
    )
    return client.read_flow_runs(flow_run_filter=wanted, sort=sort, limit=limit)


def _pending(run: FlowRun, now: datetime) -> str:
    taken = run.state is not None and run.state.type is StateType.PENDING
    if taken and run.state and (now - run.state.timestamp).total_seconds() > _STUCK_SECONDS:
        return "a worker took it and no process began it"
    return ""


def _late(run: FlowRun, now: datetime, online: bool) -> str:
    due = run.next_scheduled_start_time
    if online or due is None or (now - due).total_seconds() < _STUCK_SECONDS:
        return ""  # behind other runs
    return "no worker is online"


def _line(run: FlowRun, stuck: str = "") -> RunLine:
    state = run.state
    return RunLine(
        name=run.name,
        flow_run=str(run.id),
        state=(state.name if state else None) or "unknown",
        since=state.timestamp if state else None,
        stuck=stuck,
    )
