"""Guard process: ends the engine that a command started for itself when the command is killed by SIGKILL.

Run as a program: waits until its standard input is closed, which the kernel does when the command dies, then terminates
every process that bears the command's token in its environment.
"""

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

_TOKEN = "CLEAN_ROOM_ENGINE"


def start_guard() -> None:
    """Mark what this process will start, and leave a guard behind that outlives a `kill -9`."""
    if _TOKEN in os.environ:
        return
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, token := secrets.token_hex(16)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.environ[_TOKEN] = token
    assert guard.stdin is not None
    os.dup(guard.stdin.fileno())  # held open for as long as this process lives, and closed in what it starts


def _end_marked(token: str) -> None:
    mark = f"{_TOKEN}={token}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGTERM)
        except OSError:  # gone meanwhile, or another user's
            continue


if __name__ == "__main__":
    sys.stdin.buffer.read()
    _end_marked(sys.argv[1])
