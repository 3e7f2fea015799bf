"""Ctrl-C at a terminal ends a run at once, with its engine, in one line."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.packages.sample import build_sample

pytestmark = pytest.mark.index

CRA = Path(sys.executable).parent / "cra"


def processes_of(session: int) -> list[str]:
    """Names of the processes, zombies left out, whose session is `session`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition(" (")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, _, its_session = rest.split()[:4]
        if int(its_session) == session and state != "Z":
            found.append(name)
    return found


def start(root: Path, output: int) -> "subprocess.Popen[bytes]":
    sample = build_sample(root / "spans")
    places = {"CRA_DATA_DIR": root / "d", "CRA_CACHE_DIR": root / "c", "PREFECT_HOME": root / "p"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CRA_", "PREFECT_"))}
    return subprocess.Popen(
        [str(CRA), "prepare", str(sample), "--out", str(root / "corpus")],
        env={**kept, **{name: str(place) for name, place in places.items()}, "TERM": "xterm"},
        stdin=output, stdout=output, stderr=output, start_new_session=True,
    )  # fmt: skip


def wait_until_nothing_is_left_of(session: int) -> None:
    for _ in range(100):
        if not processes_of(session):
            return
        time.sleep(0.1)
    assert processes_of(session) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_control_c_or_a_request_to_end_ends_a_run_and_its_engine(tmp_path: Path, number: int) -> None:
    terminal, inner = pty.openpty()
    running = start(tmp_path, inner)
    os.close(inner)
    said = b""
    while b"validate" not in said:
        said += os.read(terminal, 4096)
    os.killpg(running.pid, number)  # as a terminal does: everyone in the foreground gets it
    while True:
        try:
            said += os.read(terminal, 4096)
        except OSError:  # the last one has closed the terminal
            break
    assert running.wait() == 128 + number
    assert b"stopped; the same command goes on from here" in said
    assert b"Traceback" not in said
    wait_until_nothing_is_left_of(running.pid)


def test_kill_9_ends_the_engine_as_well(tmp_path: Path) -> None:
    terminal, inner = pty.openpty()
    running = start(tmp_path, inner)
    os.close(inner)
    said = b""
    while b"validate" not in said:
        said += os.read(terminal, 4096)
    assert len(processes_of(running.pid)) > 1
    running.kill()
    assert running.wait() == -signal.SIGKILL
    wait_until_nothing_is_left_of(running.pid)
    os.close(terminal)
