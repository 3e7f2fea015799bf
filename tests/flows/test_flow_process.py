"""A flow run's process goes on after the worker that reads its output is killed."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, subprocess, sys
from pathlib import Path
from rich.console import Console
from flows.server.engine import outlive_readers

outlive_readers()
print("begun")
sys.stdin.readline()
for stream in (sys.stdout, sys.stderr):
    Console(file=stream).print("a line of a log")
    print("another", file=stream)
subprocess.run(["sh", "-c", "echo of a child; echo and its errors >&2"], check=True)
Path(sys.argv[1]).write_text("ended")
"""


def test_what_is_written_after_the_reader_died_ends_nothing(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, ended],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        assert process.stdout.readline() == "begun\n"
        process.stdout.close()
        process.stderr.close()
        process.stdin.write("\n")
        process.stdin.close()
        assert process.wait(60) == 0
    assert ended.read_text() == "ended"
