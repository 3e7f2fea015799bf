"""Processes that share what one of them makes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARER = """
import sys, time
from pathlib import Path
from host.locks import share_once_made
made = Path(sys.argv[1])

def there():
    found = made.exists()
    time.sleep(0.2)  # so that several find nothing at once
    return found

def make():
    time.sleep(0.3)
    made.touch()

with made.with_suffix(".lock").open("a") as lock, made.with_suffix(".turn").open("a") as turn:
    sys.stdin.readline()
    print(share_once_made(lock.fileno(), turn.fileno(), there, make), flush=True)
    sys.stdin.readline()
"""


def test_all_processes_share_at_once_what_one_of_them_made(tmp_path: Path) -> None:
    for turn in range(2):
        command = [sys.executable, "-c", SHARER, str(tmp_path / f"made{turn}")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        processes = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(8)]
        try:
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            # each is answered while all others still hold their shared locks
            called = [process.stdout.readline().strip() for process in processes if process.stdout]
            assert sorted(called) == ["False"] * 7 + ["True"]
            for process in processes:
                process.communicate("end\n")
        finally:
            for process in processes:
                process.kill()
                process.wait()
