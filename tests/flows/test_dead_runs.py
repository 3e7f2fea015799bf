"""What a `kill -9` or `cra down` leaves on a real server ends, and the same deployment starts again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.packages.package import RepoPackage
from tests.support.bad_server import ScriptedServer, Stall
from tests.support.server_runs import ServerRuns, seconds_until, server_runs

pytestmark = pytest.mark.slow

MOST_SECONDS = 120.0


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    """The settings of a model that begins an answer and never ends it."""
    with ScriptedServer([Stall("{")]) as model:
        endpoint = {"URL": model.url, "MODEL": "m", "WINDOW": "32768", "JSON_SCHEMA": "false", "STALL": "600"}
        roles = {"CRA_MODELS__ROLES__REASONING": "slow", "CRA_MODELS__ROLES__CODING": "slow"}
        yield {**roles, **{f"CRA_MODELS__ENDPOINTS__SLOW__{name}": value for name, value in endpoint.items()}}


def asked(sample: RepoPackage) -> dict[str, object]:
    return {"packages": [str(sample.directory)], "planners": ["student"], "name": "killed", "limit": 2}


def test_after_a_kill_the_deployment_starts_again_and_nothing_says_running(
    sample: RepoPackage, short_path: Path, variables: dict[str, str]
) -> None:
    with server_runs(short_path, **variables) as server:
        first = server.begin("campaign/campaign", **asked(sample))
        seconds_until(lambda: len(server.unfinished()) >= 3, 120)  # the flow run, and trajectories with stages
        left = server.ask("/task_runs/filter", task_runs={"flow_run_id": {"any_": [first]}})
        assert {each["state"]["type"] for each in left} & {"RUNNING", "PENDING"}
        assert server.kill("main() worker") + server.kill("flows.server.engine") >= 2

        second = server.begin("campaign/campaign", **asked(sample))
        seconds_until(lambda: server.state(second) == "Running", MOST_SECONDS)

        def all_ended() -> bool:
            tasks = server.ask("/task_runs/filter", task_runs={"flow_run_id": {"any_": [first]}})
            open_ = [each for each in tasks if each["state"]["type"] in ("RUNNING", "PENDING")]
            return server.state(first) == "Crashed" and not open_

        seconds_until(all_ended, MOST_SECONDS)
        assert server.state(second) == "Running"


def test_a_flow_outlives_its_worker_and_ends_with_the_server_which_says_so_at_once(
    sample: RepoPackage, short_path: Path, variables: dict[str, str]
) -> None:
    server = ServerRuns(short_path, **variables)
    try:
        assert server.cra("up", "--port", str(server.port)).returncode == 0
        first = server.begin("campaign/campaign", **asked(sample))
        seconds_until(lambda: len(server.unfinished()) >= 3, 120)
        flow = server.processes("flows.server.engine")
        assert server.kill("main() worker") == 1
        second = server.begin("campaign/campaign", **asked(sample))
        seconds_until(lambda: server.state(second) == "Running", MOST_SECONDS)
        assert set(flow) < set(server.processes("flows.server.engine"))

        assert server.cra("down").returncode == 0
        assert server.processes("") == []
        assert server.cra("up").returncode == 0
        assert [server.state(first), server.state(second)] == ["Crashed", "Crashed"]
        assert server.unfinished() == []
    finally:
        assert server.cra("down").returncode == 0
