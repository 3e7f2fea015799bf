"""A campaign on a real server with two workers of separate data directories: shards, states on the page, refusals."""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from sqlalchemy import text

from harness.packages.package import RepoPackage
from store.database import open_database
from tests.support.bad_server import ScriptedServer
from tests.support.browser import PATIENCE_MS
from tests.support.server_runs import CRA, ServerRuns, seconds_until, server_runs

pytestmark = [pytest.mark.index, pytest.mark.slow]
TEMPERATURES = [0.1, 0.2, 0.3]


@pytest.fixture
def model() -> Iterator[ScriptedServer]:
    """A model that takes half a second for an answer of no use."""

    def answer(_: dict[str, Any]) -> str:
        time.sleep(0.5)
        return "I cannot say."

    with ScriptedServer(answer) as server:
        yield server


@pytest.fixture
def server(sample: RepoPackage, model: ScriptedServer, short_path: Path) -> Iterator[ServerRuns]:
    """A server with an embedded PostgreSQL and a worker, over a corpus with the sample."""
    shutil.copytree(sample.directory, short_path / "corpus" / "spans", symlinks=True)
    endpoint = {"URL": model.url, "MODEL": "scripted", "ATTEMPTS": "1", "CONCURRENCY": "1"}
    variables = {f"CRA_MODELS__ENDPOINTS__HERE__{name}": value for name, value in endpoint.items()}
    roles = {"CRA_MODELS__ROLES__REASONING": "here", "CRA_MODELS__ROLES__CODING": "here"}
    campaign = {"CRA_CAMPAIGN__SHARD_SECONDS": "5", "CRA_CAMPAIGN__TRAJECTORIES": "1"}
    corpus = {"CRA_CORPUS_DIR": str(short_path / "corpus")}
    with server_runs(short_path, "--postgres", "embedded", **variables, **roles, **campaign, **corpus) as runs:
        yield runs


class SecondWorker:
    """A worker of another data directory, cache and home."""

    def __init__(self, server: ServerRuns, **variables: str) -> None:
        root = server.folder / "second"
        (root / "work").mkdir(parents=True, exist_ok=True)
        password = (server.folder / "data" / "server" / "password").read_text().strip()
        named = {"PREFECT_API_URL": f"http://127.0.0.1:{server.port}/api", "PREFECT_API_AUTH_STRING": password}
        places = {"CRA_DATA_DIR": str(root / "data"), "CRA_CACHE_DIR": str(root / "cache"), "HOME": str(root)}
        databases = {"CRA_RAW_DATABASE": database(server), "CRA_CURATED_DATABASE": database(server)}
        self.log = root / "log"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", CRA, "worker", "--name", "second"],
            env={**server.environment, **named, **places, **databases, **variables}, cwd=root / "work",
            stdout=self.log.open("ab"), stderr=subprocess.STDOUT,
        )  # fmt: skip

    def __enter__(self) -> "SecondWorker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        assert self.process.wait(timeout=180) is not None


def database(server: ServerRuns) -> str:
    directory = server.folder / "data" / "server"
    return f"postgresql://clean_room@/clean_room?host={directory}&passfile={directory / 'pgpass'}"


def rows(server: ServerRuns, query: str) -> list[tuple[Any, ...]]:
    with open_database(database(server), "raw").connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def online(server: ServerRuns) -> set[str]:
    found = server.ask("/work_pools/clean-room/workers/filter", limit=10)
    return {each["name"] for each in found if each["status"] == "ONLINE"}


def run_to_its_end(server: ServerRuns, deployment: str, **parameters: Any) -> str:
    run = server.begin(deployment, **parameters)
    ended = ("Completed", "Failed", "Crashed", "Cancelled", "stopped")
    seconds_until(lambda: server.state(run) in ended, 400)
    return run


def test_two_workers_share_a_campaign(server: ServerRuns, model: ScriptedServer) -> None:
    with SecondWorker(server) as second:
        seconds_until(lambda: "second" in online(server), 120)
        order = {"packages": ["spans"], "planners": ["student"], "name": "shared", "temperatures": TEMPERATURES}
        run = run_to_its_end(server, "campaign/campaign", **order)
        assert server.state(run) == "Completed", second.log.read_text()
        seconds_until(lambda: not server.unfinished(), 120)
    shards = server.ask("/flow_runs/filter", deployments={"name": {"any_": ["campaign-shard"]}})
    assert {each["state"]["type"] for each in shards} <= {"COMPLETED", "CANCELLED"}
    assert any(each["state"]["type"] == "COMPLETED" for each in shards)
    trajectories = rows(server, "SELECT count(*) FROM task_runs")[0][0]
    assert rows(server, "SELECT DISTINCT attempts FROM task_runs WHERE closed_at IS NOT NULL") == [(1,)]
    assert rows(server, "SELECT count(*) FROM outcomes") == [(trajectories,)]
    asked = Counter(str(sorted(request.items())) for request in model.requests)
    assert set(asked.values()) == {1}
    tasks = server.ask("/task_runs/filter", task_runs={"tags": {"all_": ["campaign"]}}, limit=200)
    names = [each["state"]["name"] for each in tasks if each["name"].startswith("spans@")]
    assert Counter(names) == {"plan-malformed": trajectories}
    runs_with_trajectories = {each["flow_run_id"] for each in tasks if each["name"].startswith("spans@")}
    assert len(runs_with_trajectories) > 1, "the campaign's own and at least one shard"
    assert {each["state"]["name"] for each in tasks} <= {"plan-malformed", "Completed", "Cached"}


def test_a_worker_of_another_corpus_or_code_is_refused_by_name(server: ServerRuns) -> None:
    identity = {"folder": "spans", "identity": "0" * 64}
    order = {
        "name": "refused", "campaign_id": "c", "packages": [identity], "package": "spans", "instances": [],
        "grid": {"planners": ["null"]}, "sandbox": "bubblewrap", "planners": {}, "code": "0.0.1+0123456789",
    }  # fmt: skip
    run = run_to_its_end(server, "campaign-shard/campaign-shard", order=order)
    refused = server.ask(f"/flow_runs/{run}")["state"]
    ours = server.ask("/deployments/name/campaign-shard/campaign-shard")["version"]
    assert refused["type"] == "FAILED"
    assert "0.0.1+0123456789" in refused["message"] and ours in refused["message"]
    run = run_to_its_end(server, "campaign-shard/campaign-shard", order={**order, "code": ours})
    refused = server.ask(f"/flow_runs/{run}")["state"]
    assert refused["type"] == "FAILED"
    assert "0" * 12 in refused["message"] and "spans" in refused["message"]


def test_outcomes_are_read_off_the_page(server: ServerRuns, browser: Browser) -> None:
    order = {"packages": ["spans"], "planners": ["gold", "null"], "name": "seen", "limit": 1}
    run = run_to_its_end(server, "campaign/campaign", **order)
    assert server.state(run) == "Completed"
    seconds_until(lambda: not server.unfinished(), 60)
    password = (server.folder / "data" / "server" / "password").read_text().strip()
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"http://127.0.0.1:{server.port}/runs?tab=task-runs")
    page.locator("input").first.fill(password)
    page.keyboard.press("Enter")
    page.get_by_text("empty-patch").first.wait_for()
    assert page.get_by_text("passed", exact=True).count() == 1
    assert page.get_by_text("empty-patch", exact=True).count() == 1
    page.goto(f"http://127.0.0.1:{server.port}/runs/flow-run/{run}")
    page.get_by_text("cra trace").first.wait_for()
    assert page.get_by_text("cra trace").count() == 2
    page.close()


def test_processes_in_network_namespaces_of_their_own_share_postgresql_and_a_corpus(
    sample: RepoPackage, postgres_url: str, tmp_path: Path
) -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("unshare or ip is missing")
    corpus = shutil.copytree(sample.directory.parent, tmp_path / "corpus", symlinks=True)
    # an ordinary user needs a user namespace, in which the sandbox does not run strangers' code; the sample is our own
    apart = ["unshare", "-nm"] if os.geteuid() == 0 else ["unshare", "-rnm"]
    sandbox = [] if os.geteuid() == 0 else ["--sandbox", "none"]
    inside = (
        'ip link set lo up && mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" 2>/dev/null '
        '&& exec "$@"'
    )
    running = []
    for name in ("one", "two"):
        root = tmp_path / name
        root.mkdir()
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CRA_", "PREFECT_"))}
        places = {"HOME": str(root), "CRA_DATA_DIR": str(root / "data"), "CRA_CACHE_DIR": str(root / "cache")}
        command = [sys.executable, "-P", "-c", CRA, "campaign", str(corpus / sample.directory.name)]
        running.append(
            subprocess.Popen(
                [*apart, "sh", "-c", inside, str(corpus), *command, "--planner", "gold", "--planner", "null",
                 "--name", "apart", "--json", *sandbox],
                env={**kept, **places, "PYTHONPATH": str(Path(__file__).parents[2]), "CRA_RAW_DATABASE": postgres_url},
                cwd=root, stdout=subprocess.PIPE, stderr=(root / "log").open("ab"),
            )
        )  # fmt: skip
    for process in running:
        process.communicate(timeout=500)
    logs = [(tmp_path / name / "log").read_text() for name in ("one", "two")]
    assert [process.returncode for process in running] == [0, 0], logs
    with open_database(postgres_url, "raw").connect() as connection:
        found = connection.execute(text("SELECT attempts, outcome, count(*) FROM task_runs GROUP BY 1, 2")).all()
        outcomes = connection.execute(text("SELECT count(*) FROM outcomes")).scalar_one()
    valid = sum(each.valid for each in sample.manifest.instances)
    assert sorted(map(tuple, found)) == [(1, "empty-patch", valid), (1, "passed", valid)]
    assert outcomes == 2 * valid
