"""The loop in air-gapped mode, in a network namespace with nothing but loopback: it ends well and tries nothing."""

import json
import os
import subprocess
import sys
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

_SECONDS = 1500
"""A hang, not a busy machine: a few minutes of a core, of which a traced program gets less than its share."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(_SECONDS + 60)]

ROOT = Path(__file__).parents[2]
FEW = {"MAX_STEPS": "2", "BATCH_SIZE": "2", "VALIDATION_ROWS": "2", "CHECKPOINT_STEPS": "2", "RANK": "4"}
CRA = """
cra() { "$PYTHON" -P -c "import sys; sys.argv[0] = 'cra'; from cli.main import main; main()" "$@"; }
step() { "$@" || { echo "failed: $*" >&2; exit 1; }; }
"""
CAMPAIGN = """
trap 'cra down' EXIT
step cra up --port "$PORT"
step cra campaign "$PACKAGE" --planner gold --limit 1 --name gold
step cra retrieve "add a function that doubles a number" --repo "$REPOSITORY"
"""
TRAINING = """
step cra curate-data --stage scope --base tiny --min-organisations 1
step cra train scope --base tiny
step cra evaluate scope --adapter scope-v1 --against base
step "$PYTHON" -P "$SERVE" --backend llama --port "$PORT"
"""
REHEARSAL = """
step cra bases add embedded --name embedded --gguf
step cra rehearse --packages "$PACKAGE" --base embedded --limit 1 --items 1 --steps 1 --out "$OUT"
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


def run(commands: str, folder: Path, **variables: str) -> Watched:
    """Run commands in air-gapped mode, in an environment that contradicts it: the mode must win."""
    (folder / "work").mkdir()
    (folder / "work" / "cra.toml").write_text("air_gapped = true\n")
    contradicting = {"HTTPS_PROXY": "http://192.0.2.9:3128", "HF_HUB_OFFLINE": "0"}
    ours = {"PYTHON": sys.executable, "PORT": str(free_port()), **contradicting, **variables}
    environment = own_environment(folder, **ours)
    return watched(["sh", "-c", CRA + commands], folder / "log", cwd=folder / "work", env=environment, timeout=_SECONDS)


@pytest.mark.index
def test_a_server_with_a_worker_a_campaign_and_the_embedded_model(sample: RepoPackage, short_path: Path) -> None:
    spans = sample.directory.parents[1] / "spans"
    done = run(CAMPAIGN, short_path, PACKAGE=str(sample.directory), REPOSITORY=str(spans))
    assert done.attempts == ()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_curation_training_evaluation_and_a_model_server(tmp_path: Path) -> None:
    world = World(tmp_path / "data")
    varied_gold_runs(world, *(Repository(name) for name in ("alpha", "beta", "gamma", "hidden")))
    add_base(world.curated, world.folder, make_tiny_base(tmp_path / "tiny"), "tiny")
    items = build_set(world.raw.engine, TrainingTarget.SCOPE, ["hidden"], limit=1)
    freeze(world.curated, world.raw.engine, items)
    (tmp_path / "serve.py").write_text(SERVE)
    few = {f"CRA_TRAINING__{name}": value for name, value in FEW.items()}
    done = run(TRAINING, tmp_path, SERVE=str(tmp_path / "serve.py"), **few)
    assert done.attempts == ()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "scope-v1" in done.stdout


@pytest.mark.index
def test_a_rehearsal_of_all_of_it(sample: RepoPackage, tmp_path: Path) -> None:
    world = World(tmp_path / "data")
    varied_gold_runs(world, Repository("hidden"))
    freeze(world.curated, world.raw.engine, build_set(world.raw.engine, TrainingTarget.SCOPE, ["hidden"], limit=1))
    changed = {"LEARNING_RATE": "0.005", "RANK": "16"}  # by one step enough for the export's check to see an effect
    few = {f"CRA_TRAINING__{name}": value for name, value in {**FEW, **changed}.items()}
    done = run(REHEARSAL, tmp_path, PACKAGE=str(sample.directory), OUT=str(tmp_path / "out"), **few)
    assert done.attempts == ()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert json.loads((tmp_path / "out" / "rehearsal.json").read_text())["operational"]


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
