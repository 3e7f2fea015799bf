"""`cra plan` says what it is doing, and Ctrl-C ends it while a model is asked."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.packages.sample import build_sample
from tests.support.bad_server import ScriptedServer, Stall

pytestmark = pytest.mark.slow

PLAN = """
import sys
sys.argv = ["cra", "plan", "make the parser stricter", "--repo", sys.argv[1]]
from cli.main import main
main()
"""
STUCK = """
import time
from cli.stopping import stopped_by_interrupt
with stopped_by_interrupt():
    print("begun", flush=True)
    while True:
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            pass
"""


def environment(root: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRA_")}
    places = {"CRA_DATA_DIR": str(root / "data"), "CRA_CACHE_DIR": str(root / "cache")}
    return {**kept, **places, "PYTHONPATH": str(Path(__file__).parents[2])}


def test_an_interrupt_ends_a_plan_while_its_model_is_asked(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "spans")
    with ScriptedServer([Stall("half")]) as server:
        (tmp_path / "cra.toml").write_text(
            f'[models.endpoints.here]\nurl = "{server.url}"\nmodel = "scripted"\nwindow = 32000\n'
            '[models.roles]\nreasoning = "here"\ncoding = "here"\n'
        )
        planning = subprocess.Popen(
            [sys.executable, "-c", PLAN, str(sample)],
            cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while not server.requests:
            assert planning.poll() is None, planning.communicate()[1]
            signal.sigtimedwait([], 0.05)
        planning.send_signal(signal.SIGINT)
        printed, said = planning.communicate(timeout=180)
    assert (planning.returncode, printed) == (130, "")
    assert "Traceback" not in said
    shown = [line.partition("spans: ")[2] for line in said.splitlines() if "spans: " in line]
    assert shown == ["index", "task_analysis"]
    assert list((tmp_path / "cache" / "scratch").iterdir()) == []


def test_an_interrupt_ends_a_body_that_swallows_it() -> None:
    stuck = subprocess.Popen(
        [sys.executable, "-c", STUCK], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert stuck.stdout is not None
    assert stuck.stdout.readline() == b"begun\n"
    stuck.send_signal(signal.SIGINT)
    _, said = stuck.communicate(timeout=180)
    assert stuck.returncode == 130
    assert b"Traceback" not in said
