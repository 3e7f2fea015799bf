"""The sweeper against a real server: it ends what died with its flow run, and nothing else."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.states import Completed, Crashed, Pending, Running

from flows.server.sweeper import sweep

pytestmark = pytest.mark.slow

SILENT = "its process has been silent for 90 s"


@flow(name="swept")
def swept() -> None:
    """A flow that is never run."""


@task(name="part", persist_result=False)
def part() -> None:
    """A task that is never run."""


def begin(client: SyncPrefectClient, state: State, *, tagged: bool = True, parent: UUID | None = None) -> UUID:
    run = client.create_flow_run(
        swept, state=Running(), tags=["clean-room"] if tagged else [], parent_task_run_id=parent
    )
    if state.type is not Running().type:
        client.set_flow_run_state(run.id, state, force=True)
    return run.id


def begin_task(client: SyncPrefectClient, flow_run: UUID) -> UUID:
    return client.create_task_run(part, flow_run, dynamic_key=str(uuid4()), state=Running()).id


def test_tasks_and_subflows_of_dead_runs_are_ended_and_others_are_left(prefect_engine: None) -> None:
    with get_client(sync_client=True) as client:
        silent, alive = begin(client, Crashed(message=SILENT)), begin(client, Running())
        ended = begin(client, Completed())  # its last events may still be under way
        tasks = {run: begin_task(client, run) for run in (silent, alive, ended)}
        subflows = {run: begin(client, Running(), tagged=False, parent=tasks[run]) for run in (silent, alive)}
        within = begin_task(client, subflows[silent])

        assert sweep(client) == 2  # with a subflow the server ends its parent's task
        assert client.read_task_run(tasks[silent]).state_name == "Crashed"
        assert client.read_flow_run(subflows[silent]).state_name == "Crashed"
        assert client.read_task_run(within).state_name == "Crashed"
        assert client.read_task_run(tasks[alive]).state_name == "Running"
        assert client.read_flow_run(subflows[alive]).state_name == "Running"
        assert client.read_task_run(tasks[ended]).state_name == "Running"
        assert sweep(client) == 0

        assert sweep(client, datetime.now(UTC) + timedelta(minutes=2)) == 1
        assert client.read_task_run(tasks[ended]).state_name == "Crashed"
        assert client.read_task_run(tasks[alive]).state_name == "Running"


def test_runs_of_others_that_wait_are_left(prefect_engine: None) -> None:
    with get_client(sync_client=True) as client:
        waiting = begin(client, Pending())
        assert sweep(client, datetime.now(UTC) + timedelta(hours=1)) == 0
        assert client.read_flow_run(waiting).state_name == "Pending"


def test_tasks_of_flows_that_are_not_ours_are_left(prefect_engine: None) -> None:
    with get_client(sync_client=True) as client:
        over = begin(client, Crashed(message=SILENT), tagged=False)
        part_of_it = begin_task(client, over)
        sweep(client, datetime.now(UTC) + timedelta(minutes=2))
        assert client.read_task_run(part_of_it).state_name == "Running"
