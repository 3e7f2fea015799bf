"""The whole loop in air-gapped mode, in a network namespace with nothing but loopback: it ends well and tries nothing.

Commands share the server of `cra up`, as on a machine that runs by itself.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.sets import build_set, freeze
from harness.packages.package import RepoPackage
from host.offline import offline_environment
from models.training import TrainingTarget
from tests.support.connections import Watched, has_strace, watched
from tests.support.doubles import free_port
from tests.support.pairs_material import Repository, World, varied_gold_runs
from tests.support.tiny import make_tiny_base
from training.bases.bases import add_base

pytestmark = [pytest.mark.index, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
FEW = {"MAX_STEPS": "2", "BATCH_SIZE": "2", "VALIDATION_ROWS": "2", "CHECKPOINT_STEPS": "2", "RANK": "4"}
COMMANDS = """
cra() { "$PYTHON" -P -c "import sys; sys.argv[0] = 'cra'; from cli.main import main; main()" "$@"; }
step() { "$@" || { echo "failed: $*" >&2; exit 1; }; }
trap 'cra down' EXIT
step cra up --port "$PORT"
step cra status
step cra campaign "$PACKAGE" --planner gold --limit 1 --name gold
step cra retrieve "add a function that doubles a number" --repo "$REPOSITORY"
step cra curate-data --stage scope --base tiny --min-organisations 1
step cra train scope --base tiny
step cra evaluate scope --adapter scope-v1 --against base
step cra adapters verify --all
step "$PYTHON" -P "$SERVE" --backend llama --port "$SERVED"
"""
SERVE = """
import json, signal, subprocess, sys, urllib.request
command = [sys.executable, "-P", "-c", "from cli.main import main; main()", "serve", "--json", *sys.argv[1:]]
running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
lines = []
while not lines or lines[-1] not in ("}\\n", ""):
    lines.append(running.stdout.readline())
body = {"model": "tiny", "max_tokens": 4, "messages": [{"role": "user", "content": "hello"}]}
url = f"http://127.0.0.1:{sys.argv[-1]}/v1/chat/completions"
request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
with urllib.request.urlopen(request, timeout=120) as answer:
    assert json.load(answer)["choices"]
running.send_signal(signal.SIGINT)
sys.exit(running.wait(60))
"""
REACH = """
import socket
for reach in (lambda: socket.getaddrinfo("example.org", 80), lambda: socket.create_connection(("192.0.2.1", 80), 1)):
    try:
        reach()
    except OSError as error:
        print(error)
"""


def own_environment(folder: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CRA_", "PREFECT_"))}
    places = {"CRA_DATA_DIR": folder / "data", "CRA_CACHE_DIR": folder / "cache", "HOME": folder, "PYTHONPATH": ROOT}
    return {**kept, **{name: str(place) for name, place in places.items()}, "OMP_NUM_THREADS": "1", **variables}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data directory: gold runs of four repositories, a base, a frozen set; and a work directory."""
    folder = tmp_path_factory.mktemp("gap")
    world = World(folder / "data")
    varied_gold_runs(world, *(Repository(name) for name in ("alpha", "beta", "gamma", "hidden")))
    add_base(world.curated, world.folder, make_tiny_base(folder / "tiny"), "tiny")
    items = build_set(world.raw.engine, TrainingTarget.SCOPE, ["hidden"], limit=1)
    freeze(world.curated, world.raw.engine, items)
    (folder / "work").mkdir()
    (folder / "work" / "cra.toml").write_text("air_gapped = true\n")
    (folder / "serve.py").write_text(SERVE)
    return folder


@pytest.fixture(scope="module")
def loop(prepared: Path, sample: RepoPackage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The loop, run once. Its environment contradicts the mode, which must win."""
    variables = {
        "PACKAGE": str(sample.directory),
        "PYTHON": sys.executable,
        "PORT": str(free_port()),
        "REPOSITORY": str(sample.directory.parents[1] / "spans"),
        "SERVE": str(prepared / "serve.py"),
        "SERVED": str(free_port()),
        "HTTPS_PROXY": "http://192.0.2.9:3128",
        "HF_HUB_OFFLINE": "0",
        **{f"CRA_TRAINING__{name}": value for name, value in FEW.items()},
    }
    log = tmp_path_factory.mktemp("log")
    environment = own_environment(prepared, **variables)
    yield watched(["sh", "-c", COMMANDS], log, cwd=prepared / "work", env=environment, timeout=580)


def test_every_command_of_the_loop_ends_well(loop: Watched) -> None:
    assert loop.returncode == 0, loop.stdout[-3000:] + loop.stderr[-3000:]
    assert "scope-v1" in loop.stdout


def test_nothing_of_it_tries_to_reach_another_machine_or_to_resolve_a_name(loop: Watched) -> None:
    assert loop.attempts == ()


def test_the_watch_sees_attempts_when_there_are_some(tmp_path: Path) -> None:
    ours = f'"{sys.executable}" -c "$REACH"; git ls-remote https://192.0.2.1/x'
    done = watched(["sh", "-c", ours], tmp_path / "log", cwd=tmp_path, env=own_environment(tmp_path, REACH=REACH))
    seen = {(attempt.how, attempt.where) for attempt in done.attempts}
    assert {("socket.getaddrinfo", "example.org"), ("socket.connect", "192.0.2.1")} <= seen
    if has_strace():
        assert {("connect", "192.0.2.1:80"), ("connect", "192.0.2.1:443")} <= seen


def test_the_variables_reach_what_a_command_starts(tmp_path: Path) -> None:
    look = "import os; from host.settings import load_settings; load_settings(); os.execvp('env', ['env'])"
    environment = own_environment(tmp_path, CRA_AIR_GAPPED="1", HTTP_PROXY="http://192.0.2.9", UV_OFFLINE="0")
    done = subprocess.run(
        [sys.executable, "-P", "-c", look], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    there = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert offline_environment(air_gapped=True).items() <= there.items()
    assert "HTTP_PROXY" not in there
