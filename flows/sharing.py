"""Shards of a campaign for the other workers of its pool, submitted while the campaign's own process works on it.

The campaign's process works from the front of the list, shards are given out from its end. Claims in the database keep
the two apart, so that a shard may be given out twice, or in vain, and nothing is done twice.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, WorkerFilter, WorkerFilterStatus
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound, PrefectException, TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Cancelled, Cancelling

from harness.runs.sharding import Shard
from models.errors import CleanRoomError
from models.shards import ShardOrder
from store.runs import RawStore, digest

DEPLOYMENT = "campaign-shard/campaign-shard"
_POLL_SECONDS = 5.0
_MOST_FAILURES = 3
"""Failed runs of a shard after which it is left to the campaign's own process."""


@dataclass
class _Given:
    """A shard that was given to other workers: its run, and how many of its runs failed."""

    shard: Shard
    run: UUID | None = None
    failures: int = 0
    generation: int = 0


@dataclass
class ShardSubmitter:
    """Gives out shards: at most as many at a time as there are workers in the pool, this one included."""

    store: RawStore
    shards: Sequence[Shard]
    order: Callable[[Shard], ShardOrder]
    deployment: UUID
    pool: str
    tags: list[str]
    logger: Any  # the engine's logger or adapter
    cancelled: bool = False
    _given: list[_Given] = field(init=False)

    def __post_init__(self) -> None:
        self._given = [_Given(shard) for shard in self.shards]

    def step(self, client: SyncPrefectClient) -> None:
        """Look at the runs given out, and give out more if there are workers for them."""
        self._look(client)
        running = sum(each.run is not None for each in self._given)
        wanted = self._workers(client)
        if wanted < 2:  # this one, which works on the campaign itself
            return
        for each in reversed(self._given):
            if running >= wanted:
                return
            if each.run is None and each.failures < _MOST_FAILURES and self._free(each.shard):
                self._give(client, each)
                running += 1

    def withdraw(self, client: SyncPrefectClient) -> None:
        """Cancel the runs that no worker has begun, and all if the campaign was cancelled.

        Otherwise those that were begun finish what they have, and find nothing more.
        """
        for run in self._runs(client):
            if run.state is None or run.state.is_final():
                continue
            if run.state.is_scheduled():
                client.set_flow_run_state(run.id, Cancelled(message="nothing is left to do"), force=True)
            elif self.cancelled:
                client.set_flow_run_state(run.id, Cancelling(message="the campaign was cancelled"))

    def _look(self, client: SyncPrefectClient) -> None:
        by_run = {each.run: each for each in self._given if each.run is not None}
        found = self._runs(client)
        for gone in by_run.keys() - {run.id for run in found}:  # deleted by somebody
            by_run[gone].run, by_run[gone].failures = None, _MOST_FAILURES
        for run in found:
            each, state = by_run[run.id], run.state
            if state is None or not state.is_final():
                continue
            each.run, each.generation = None, each.generation + 1
            if state.is_failed() or state.is_crashed():
                each.failures += 1
                self.logger.warning("%s ended in %s: %s", run.name, state.name, state.message)
            elif state.is_cancelled() or state.name == "stopped":
                each.failures = _MOST_FAILURES

    def _runs(self, client: SyncPrefectClient) -> list[FlowRun]:
        ids = [each.run for each in self._given if each.run is not None]
        return client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=ids))) if ids else []

    def _workers(self, client: SyncPrefectClient) -> int:
        online = WorkerFilter(status=WorkerFilterStatus(any_=["ONLINE"]))
        return len(client.read_workers_for_work_pool(self.pool, worker_filter=online))

    def _free(self, shard: Shard) -> bool:
        """Whether a trajectory of a shard is open, and no process works on any of them."""
        keys = list(self.store.attempts(shard.trajectories))
        return bool(keys) and not self.store.holders(keys)

    def _give(self, client: SyncPrefectClient, each: _Given) -> None:
        order = self.order(each.shard)
        run = client.create_flow_run_from_deployment(
            self.deployment,
            parameters={"order": order.model_dump(mode="json")},
            name=f"shard {order.package} of {order.name}",
            tags=self.tags,
            idempotency_key=digest("shard", order.model_dump(mode="json"), each.generation),
        )
        each.run = run.id
        self.logger.info("%s: %d instances for another worker", run.name, len(each.shard.instances))


@contextmanager
def sharing(
    root: FlowRun | None, store: RawStore, shards: Sequence[Shard], order: Callable[[Shard], ShardOrder]
) -> Iterator[None]:
    """Within this context, the other workers of the pool from which `root` was started get shards; for None nobody."""
    submitter = None if root is None else _submitter(root, store, shards, order)
    if submitter is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_give_out, args=(submitter, over), name="shards", daemon=True)
    thread.start()
    try:
        yield
    except TerminationSignal:
        submitter.cancelled = True
        raise
    finally:
        over.set()
        thread.join()


def deployed_run() -> FlowRun | None:
    """The outermost run around the current flow, if it was started from a deployment in a work pool."""
    with get_client(sync_client=True) as client:
        root = client.read_flow_run(UUID(flow_run.root_flow_run_id))
    return root if root.deployment_id is not None and root.work_pool_name is not None else None


def _submitter(
    root: FlowRun, store: RawStore, shards: Sequence[Shard], order: Callable[[Shard], ShardOrder]
) -> ShardSubmitter | None:
    """The submitter for the pool of a run; None if the server has no deployment for shards."""
    logger = get_run_logger()
    try:
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
    except ObjectNotFound:
        logger.warning("there is no deployment %s: other workers cannot help; `cra up` makes it", DEPLOYMENT)
        return None
    assert root.work_pool_name is not None, "it was started from a deployment in a work pool"
    tags = ["clean-room", f"part-of-{root.name}"]
    return ShardSubmitter(store, shards, order, deployment.id, root.work_pool_name, tags, logger)


def _give_out(submitter: ShardSubmitter, over: threading.Event) -> None:
    with get_client(sync_client=True) as client:
        while not over.wait(_POLL_SECONDS):
            _tolerating(submitter, submitter.step, client)
        _tolerating(submitter, submitter.withdraw, client)


def _tolerating(
    submitter: ShardSubmitter, step: Callable[[SyncPrefectClient], None], client: SyncPrefectClient
) -> None:
    """A step; a server or database that is away is no reason to stop, for the campaign's own process goes on."""
    try:
        step(client)
    except (httpx.HTTPError, PrefectException, CleanRoomError) as error:
        submitter.logger.warning("shards were not given out: %s", error)
