"""What a `kill -9` of worker and flow leaves on a real server ends, and the same deployment starts again."""

from pathlib import Path

import pytest

from harness.packages.package import RepoPackage
from tests.support.bad_server import ScriptedServer, Stall
from tests.support.server_runs import seconds_until, server_runs

pytestmark = pytest.mark.slow

MOST_SECONDS = 120.0


def test_after_a_kill_the_deployment_starts_again_and_nothing_says_running(sample: RepoPackage, tmp_path: Path) -> None:
    asked = {"packages": [str(sample.directory)], "planners": ["student"], "name": "killed", "limit": 2}
    with ScriptedServer([Stall("{")]) as model:
        endpoint = {"URL": model.url, "MODEL": "m", "WINDOW": "32768", "JSON_SCHEMA": "false", "STALL": "600"}
        variables = {f"CRA_MODELS__ENDPOINTS__SLOW__{name}": value for name, value in endpoint.items()}
        roles = {"CRA_MODELS__ROLES__REASONING": "slow", "CRA_MODELS__ROLES__CODING": "slow"}
        with server_runs(tmp_path, **variables, **roles) as server:
            first = server.begin("campaign/campaign", **asked)
            seconds_until(lambda: len(server.unfinished()) >= 3, 120)  # the flow run, and trajectories with stages
            left = server.ask("/task_runs/filter", task_runs={"flow_run_id": {"any_": [first]}})
            assert server.kill("main() worker") + server.kill("prefect.engine") >= 2

            second = server.begin("campaign/campaign", **asked)
            seconds_until(lambda: server.state(second) == "Running", MOST_SECONDS)

            def all_ended() -> bool:
                runs = {"flow_run_id": {"any_": [first]}}
                tasks = server.ask("/task_runs/filter", task_runs=runs)
                open_ = [each for each in tasks if each["state"]["type"] in ("RUNNING", "PENDING")]
                return server.state(first) == "Crashed" and not open_

            seconds_until(all_ended, MOST_SECONDS)
            assert {each["state"]["type"] for each in left} & {"RUNNING", "PENDING"}
            assert server.state(second) == "Running"
