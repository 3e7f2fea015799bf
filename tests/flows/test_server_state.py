"""What is said of a server: clock, deployments made once, runs that are stuck; on a real server."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleUpdate
from prefect.states import Scheduled

from flows.server import deployments, state
from flows.server.automations import make_automation
from flows.server.deployments import make_deployments, make_pool, our_deployments
from flows.server.state import server_skew, server_state
from models.errors import UsageError

pytestmark = pytest.mark.slow

POOL = "clean-room-test"


@flow(name="listed")
def listed(number: int = 1, gone: str = "") -> None:
    """A flow that is never run."""


def test_a_clock_an_hour_off_is_seen(prefect_engine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    with get_client(sync_client=True) as client:
        assert abs(server_skew(client)) < 60
        for wrong in (3600, -3600):
            monkeypatch.setattr(state.time, "time", lambda wrong=wrong: real() + wrong)
            assert abs(server_skew(client) - wrong) < 60


def test_what_a_person_changed_stays_when_a_new_version_is_deployed(
    prefect_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {
        "name": "one", "description": "first", "entrypoint": "tests.flows.test_server_state.listed",
        "tags": ["clean-room", "made-here"], "parameters": {"number": 2},
        "schedules": [{"cron": "0 1 * * *", "timezone": "UTC", "active": False}],
    }  # fmt: skip
    monkeypatch.setattr(deployments, "listed_deployments", lambda: [one])
    with get_client(sync_client=True) as client:
        make_pool(client, POOL)
        assert dict(make_deployments(client, POOL)) == {"one": "made"}
        assert dict(make_deployments(client, POOL)) == {"one": "already there"}
        made = mine(client)
        client._client.patch(
            f"/deployments/{made.id}/schedules/{made.schedules[0].id}",
            json=DeploymentScheduleUpdate(active=True).model_dump(mode="json", exclude_unset=True),
        )
        client._client.patch(f"/deployments/{made.id}", json={"parameters": {"number": 5}, "concurrency_limit": 1})

        monkeypatch.setattr(deployments, "code_version", lambda: "0.1.0+0123456789")
        one["description"] = "second"
        assert dict(make_deployments(client, POOL)) == {"one": "changed"}
        changed = mine(client)
        assert (changed.id, changed.version, changed.description) == (made.id, "0.1.0+0123456789", "second")
        assert (changed.parameters, changed.schedules[0].active) == ({"number": 5}, True)
        assert not changed.pull_steps
        assert changed.path is None
        assert changed.global_concurrency_limit is None
        client.delete_deployment(changed.id)


def mine(client: SyncPrefectClient) -> "deployments.DeploymentResponse":
    return next(each for each in our_deployments(client) if each.name == "one")


def test_a_pool_of_another_type_is_refused_and_the_automation_is_made_once(prefect_engine: None) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate

    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="other-type", type="kubernetes"))
        with pytest.raises(UsageError, match="kubernetes"):
            make_pool(client, "other-type")
        assert [make_automation(client, seconds) for seconds in (30, 30, 60, 60)] == [
            "made", "already there", "changed", "already there",
        ]  # fmt: skip


def test_a_run_that_no_worker_takes_is_stuck_after_two_minutes(prefect_engine: None) -> None:
    with get_client(sync_client=True) as client:
        before = server_state(client, POOL)
        assert before.workers == ()
        for late in (30, 600):
            due = datetime.now(UTC) - timedelta(seconds=late)
            client.create_flow_run(
                listed, state=Scheduled(scheduled_time=due), tags=["clean-room"], name=f"late-{late}"
            )
        found = server_state(client, POOL)
        assert found.waiting == before.waiting + 2
        assert [run.name for run in found.running if run.stuck] == ["late-600"]
