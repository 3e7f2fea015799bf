"""Code that takes too much, of anything. What it takes is bounded here too, should a limit ever fail."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InfrastructureError
from models.limits import MIB, Limits
from runtime.sandbox import Mount, ProcessEnd, open_sandbox, supervise
from runtime.sandbox.bubblewrap import Bubblewrap
from runtime.sandbox.output import HeadAndTail

pytestmark = pytest.mark.slow

BASE = Path(sys.base_prefix).resolve()
PYTHON = Path(sys.executable).resolve()
KINDS = ["bubblewrap", "none"]


@pytest.fixture(params=KINDS)
def sandbox(request):
    return open_sandbox(request.param)


def run(sandbox, workdir, script, **limits):
    return sandbox.run(
        [str(PYTHON), "-I", "-S", "-c", script],
        workdir=workdir,
        mounts=[Mount(BASE, BASE)],
        limits=Limits(**{"wall_seconds": 60, **limits}),
    )


def alive(marker: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_a_hang_that_ignores_termination_is_killed(sandbox, tmp_path):
    script = """
import signal, time
for number in (1, 2, 15):
    signal.signal(number, signal.SIG_IGN)
print('on', flush=True)
time.sleep(300)
"""
    done = run(sandbox, tmp_path, script, wall_seconds=1)
    assert (done.ending, done.exit_code, done.output) == (ProcessEnd.TIMEOUT, None, "on\n")


def test_a_flood_of_processes_is_ended(sandbox, tmp_path):
    if sandbox.kind == "none":
        pytest.skip("processes that leave their group outlive a run without isolation")
    script = "import os, time\nfor _ in range(9): os.fork()\ntime.sleep(300)"
    done = run(sandbox, tmp_path, script, processes=64)
    assert done.ending is ProcessEnd.PROCESS_LIMIT


def test_threads_count_as_processes(sandbox, tmp_path):
    script = """
import threading, time
for _ in range(100):
    threading.Thread(target=time.sleep, args=(300,)).start()
"""
    assert run(sandbox, tmp_path, script, processes=32).ending is ProcessEnd.PROCESS_LIMIT


def test_a_memory_hog_is_ended(sandbox, tmp_path):
    script = "import time\nhog = [b'x' * 2**20 for _ in range(600)]\ntime.sleep(300)"
    assert run(sandbox, tmp_path, script, memory_bytes=300 * MIB).ending is ProcessEnd.MEMORY_LIMIT


def test_memory_is_counted_over_the_whole_tree(sandbox, tmp_path):
    script = "import os, time\nfor _ in range(3): os.fork()\nhog = os.urandom(2**20) * 60\ntime.sleep(300)"
    assert run(sandbox, tmp_path, script, memory_bytes=300 * MIB).ending is ProcessEnd.MEMORY_LIMIT


def test_memory_in_a_file_without_a_name_counts(sandbox, tmp_path):
    script = """
import os, time
hog = os.memfd_create('hog')
for _ in range(400):
    os.write(hog, b'x' * 2**20)
time.sleep(300)
"""
    assert run(sandbox, tmp_path, script, memory_bytes=200 * MIB).ending is ProcessEnd.MEMORY_LIMIT


def test_memory_shared_after_a_fork_counts_once(sandbox, tmp_path):
    script = """
import os, time
hog = b'x' * (60 * 2**20)
children = [os.fork() for _ in range(3)]
time.sleep(1)
print(len(hog))
"""
    assert run(sandbox, tmp_path, script, memory_bytes=300 * MIB).ending is ProcessEnd.EXITED


def test_one_huge_allocation_is_refused_to_the_program(sandbox, tmp_path):
    done = run(sandbox, tmp_path, "bytearray(2**40)", memory_bytes=300 * MIB)
    assert "MemoryError" in done.output


def test_one_huge_file_is_refused_to_the_program(sandbox, tmp_path):
    script = "open('big', 'wb').truncate(2**40)"
    done = run(sandbox, tmp_path, script, file_bytes=MIB)
    assert "File too large" in done.output
    assert (tmp_path / "big").stat().st_size == 0


def test_a_disk_filler_is_ended(sandbox, tmp_path):
    script = """
import os, time
for n in range(100):
    with open(f"file{n}", "wb") as file:
        file.write(os.urandom(2**20) * 4)
        os.fsync(file.fileno())
time.sleep(300)
"""
    assert run(sandbox, tmp_path, script, disk_bytes=64 * MIB).ending is ProcessEnd.DISK_LIMIT


def test_files_that_were_there_before_do_not_count_as_written(sandbox, tmp_path):
    (tmp_path / "old").write_bytes(os.urandom(MIB) * 40)
    script = "import time\nopen('new', 'wb').write(b'x' * 2**20)\ntime.sleep(1.5)"
    assert run(sandbox, tmp_path, script, disk_bytes=30 * MIB).ending is ProcessEnd.EXITED


def test_the_scratch_space_is_bounded(tmp_path):
    script = "open('/tmp/big', 'wb').write(b'x' * 2**26)"
    done = run(open_sandbox("bubblewrap"), tmp_path, script, disk_bytes=16 * MIB)
    assert "No space left on device" in done.output


def test_endless_output_is_ended_and_its_head_and_tail_kept(sandbox, tmp_path):
    done = sandbox.run(
        ["sh", "-c", "echo first; yes"],
        workdir=tmp_path,
        limits=Limits(output_bytes=MIB, kept_output_bytes=1000, wall_seconds=60),
    )
    assert done.ending is ProcessEnd.OUTPUT_LIMIT
    assert done.output.startswith("first\ny\n")
    assert f"[... {MIB - 1000} bytes left out ...]" in done.output
    assert len(done.output) < 1100


def test_output_passes_through_unchanged_as_it_comes(sandbox, tmp_path):
    echo = io.BytesIO()
    sandbox.run(["printf", r"\377\000a\r\n"], workdir=tmp_path, echo=echo)
    assert echo.getvalue() == b"\xff\x00a\r\n"


@pytest.mark.parametrize("limit", [{"wall_seconds": 1.0}, {}])
def test_a_daemon_does_not_outlive_its_sandbox(tmp_path, limit):
    marker = f"cra-daemon-{os.getpid()}"
    script = f"""
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(3):
            os.close(fd)
        os.execv({str(PYTHON)!r}, ["{marker}", "-c", "import time; time.sleep(60)"])
    os._exit(0)
time.sleep({60 if limit else 0.3})
"""
    done = run(open_sandbox("bubblewrap"), tmp_path, script, **limit)
    assert done.ending is (ProcessEnd.TIMEOUT if limit else ProcessEnd.EXITED)
    assert alive(marker) == []


def test_a_killed_parent_takes_its_sandbox_along(tmp_path):
    marker = f"cra-orphan-{os.getpid()}"
    script = (
        "import sys; from pathlib import Path; from runtime.sandbox import open_sandbox\n"
        f"open_sandbox().run(['sh', '-c', 'touch on; sleep 60 # {marker}'], workdir=Path({str(tmp_path)!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    while not (tmp_path / "on").exists():
        assert parent.poll() is None
    assert len(alive(marker)) > 1
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(1000):
        if not alive(marker):
            break
    assert alive(marker) == []


def test_a_bubblewrap_that_hangs_as_it_starts_leaves_nothing(tmp_path, monkeypatch):
    marker = f"cra-hang-{os.getpid()}"
    program = tmp_path / "hangs"
    program.write_text(f"#!/bin/sh\nsh -c 'sleep 300 # {marker}' & wait\n")
    program.chmod(0o755)
    monkeypatch.setattr(supervise, "_PATIENCE", 1.0)
    with pytest.raises(InfrastructureError, match="did not start"):
        Bubblewrap(program).run(["true"], workdir=tmp_path)
    assert alive(marker) == []


def test_many_sandboxes_run_at_once(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    sandbox = open_sandbox("bubblewrap")

    def one(n: int) -> str:
        workdir = tmp_path / str(n)
        workdir.mkdir()
        return sandbox.run(["sh", "-c", f"echo {n} > own; cat *"], workdir=workdir).output

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(24))) == [f"{n}\n" for n in range(24)]


def test_descriptors_are_given_back(tmp_path):
    sandbox = open_sandbox("bubblewrap")
    sandbox.run(["true"], workdir=tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        sandbox.run(["true"], workdir=tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


@given(st.lists(st.binary(max_size=50)), st.integers(1, 60))
def test_head_and_tail_keep_exactly_the_ends(chunks, capacity):
    kept = HeadAndTail(capacity)
    for chunk in chunks:
        kept.feed(chunk)
    whole = b"".join(chunks)
    if len(whole) <= capacity:
        assert kept.text() == whole.decode(errors="replace")
    else:
        head, tail = whole[: capacity - capacity // 2], whole[len(whole) - capacity // 2 :]
        line = f"\n[... {len(whole) - capacity} bytes left out ...]\n"
        assert kept.text() == head.decode(errors="replace") + line + tail.decode(errors="replace")
