"""`make` killed at random moments: the same call ends with the same manifest, and nothing is left beside it."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exchange.bundle.verify import verify_bundle
from tests.support.bundle_home import make_machine, silent

pytestmark = pytest.mark.slow
PART = 400_000


def killed_after(argv: list[str], lines: int) -> int:
    """Start a make, and kill it when it has printed so many lines; returns how many it printed."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = 0
        for _ in process.stdout:
            printed += 1
            if printed >= lines:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
    return printed


def test_a_make_that_was_killed_twenty_times_ends_as_one_that_was_not(tmp_path: Path) -> None:
    machine = make_machine(tmp_path / "home")
    wanted = machine.make(tmp_path / "wanted", part_bytes=PART).manifest
    argv = [sys.executable, "-m", "tests.support.bundle_home", *map(str, (tmp_path / "home", tmp_path / "out", PART))]
    steps = len(wanted.files) + len(wanted.parts) + 4
    draw = random.Random(19)
    for _ in range(20):
        killed_after(argv, draw.randint(1, steps))
        assert not (tmp_path / "out").exists() or verify_bundle(tmp_path / "out", silent).manifest == wanted
    if not (tmp_path / "out").exists():
        machine.make(tmp_path / "out", part_bytes=PART)
    assert verify_bundle(tmp_path / "out", silent).manifest == wanted
    assert sorted(os.listdir(tmp_path)) == ["home", "out", "wanted"]
    names = sorted(path.relative_to(tmp_path / "wanted") for path in (tmp_path / "wanted").rglob("*"))
    assert sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*")) == names


def test_what_a_killed_make_left_is_used_only_if_it_is_intact(tmp_path: Path) -> None:
    machine = make_machine(tmp_path / "home")
    wanted = machine.make(tmp_path / "wanted", part_bytes=PART).manifest
    draft = tmp_path / ".out.part"
    machine.make(draft, part_bytes=PART)  # as if it was killed before its last step
    (draft / "chunks" / "ab").mkdir(parents=True)
    (draft / "chunks" / "ab" / ("ab" * 32)).write_bytes(b"of another order")
    some = next(path for path in sorted((draft / "part-0001").glob("??/*")))
    some.write_bytes(some.read_bytes()[:-1] + b"?")
    shutil.rmtree(draft / "part-0002" / "manifest")
    machine.make(tmp_path / "out", part_bytes=PART)
    assert verify_bundle(tmp_path / "out", silent).manifest == wanted
    assert sorted(os.listdir(tmp_path)) == ["home", "out", "wanted"]
