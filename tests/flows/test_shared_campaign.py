"""Several processes on one campaign: disjoint attempts, each question asked once, what the dead held taken up."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from harness.packages.package import RepoPackage
from runtime.trees import Runtime
from store.database import open_database
from tests.support.bad_server import ScriptedServer
from tests.support.campaign_runs import coding, gold_code, newest

pytestmark = [pytest.mark.index, pytest.mark.slow]

CRA = Path(sys.executable).parent / "cra"
TEMPERATURES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


class Machine:
    """A process with a home, databases of the engine, and caches of its own; only the raw database is shared."""

    def __init__(self, root: Path, database: str, url: str, runtime: Runtime) -> None:
        self.root = root
        (root / "cache").mkdir(parents=True)
        (root / "cache" / "environments").symlink_to(runtime.environments.root)
        endpoint = f'[models.endpoints.here]\nurl = "{url}"\nmodel = "scripted"\nattempts = 1\nmax_wait = 0.1\n'
        roles = '[models.roles]\nreasoning = "here"\ncoding = "here"\n[campaign]\ntrajectories = 1\n'
        (root / "cra.toml").write_text(endpoint + roles)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CRA_", "PREFECT_"))}
        places = {"HOME": root, "CRA_DATA_DIR": root / "data", "CRA_CACHE_DIR": root / "cache"}
        self.environment = {**kept, **{n: str(p) for n, p in places.items()}, "CRA_RAW_DATABASE": database}

    def start(self, package: RepoPackage, *options: str) -> "subprocess.Popen[bytes]":
        temperatures = ",".join(map(str, TEMPERATURES))
        command = [CRA, "campaign", package.directory, "--planner", "no-plan", "--temperatures", temperatures]
        return subprocess.Popen(
            [*command, "--limit", "1", "--name", "shared", "--json", *options],
            cwd=self.root, env=self.environment, stdout=subprocess.PIPE, stderr=(self.root / "log").open("ab"),
            start_new_session=True,
        )  # fmt: skip


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    with open_database(database, "raw").connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def slowly(script: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], str]:
    def answer(request: dict[str, Any]) -> str:
        time.sleep(1.0)  # so that both are at work at the same time
        return script(request)

    return answer


def test_two_processes_do_disjoint_work_and_ask_each_question_once(
    sample: RepoPackage, runtime: Runtime, database_target: str, tmp_path: Path
) -> None:
    with ScriptedServer(slowly(coding(gold_code(sample, newest(sample))))) as server:
        machines = [Machine(tmp_path / name, database_target, server.url, runtime) for name in ("one", "two")]
        running = [machine.start(sample) for machine in machines]
        reports = [json.loads(process.communicate(timeout=300)[0]) for process in running]
        asked = Counter(json.dumps(request, sort_keys=True) for request in server.requests)
    assert [process.returncode for process in running] == [0, 0]
    assert [report["planners"]["no-plan"]["passed"] for report in reports] == [len(TEMPERATURES)] * 2
    assert rows(database_target, "SELECT DISTINCT attempts, closed_attempt FROM task_runs") == [(1, 1)]
    assert rows(database_target, "SELECT count(*) FROM outcomes") == [(len(TEMPERATURES),)]
    assert set(asked.values()) == {1}
    assert rows(database_target, "SELECT count(*) FROM leases") == [(0,)]
    assert all("trajectories" in (machine.root / "log").read_text() for machine in machines)


def test_what_a_killed_process_held_is_taken_up_by_the_other(
    sample: RepoPackage, runtime: Runtime, database_target: str, tmp_path: Path
) -> None:
    with ScriptedServer(slowly(coding(gold_code(sample, newest(sample))))) as server:
        one, two = (Machine(tmp_path / name, database_target, server.url, runtime) for name in ("one", "two"))
        doomed = one.start(sample)
        while not server.requests:
            assert doomed.poll() is None, (one.root / "log").read_text()
            time.sleep(0.1)
        heir = two.start(sample)
        while rows(database_target, "SELECT count(*) FROM outcomes") == [(0,)]:
            time.sleep(0.1)
        os.killpg(doomed.pid, signal.SIGKILL)
        doomed.wait()
        report = json.loads(heir.communicate(timeout=300)[0])
    assert report["planners"]["no-plan"]["passed"] == len(TEMPERATURES)
    closed = rows(database_target, "SELECT count(*), count(closed_at), count(DISTINCT id) FROM task_runs")
    assert closed == [(len(TEMPERATURES),) * 3]
    assert rows(database_target, "SELECT sum(attempts) FROM task_runs")[0][0] <= len(TEMPERATURES) + 1
