"""Commands watched for attempts to reach other machines, where there are no other machines.

They run in a network namespace with nothing but loopback. What each Python process connects to and which names it
resolves is written down by an audit hook; what all programs connect to and send to, by strace where it is installed.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from models.addresses import is_loopback
from tests.support.no_network import NOT_ALLOWED

_HERE = Path(__file__).parent
_DNS = 53
_TRACED = re.compile(
    r"^(?P<process>\d+) +(?P<call>\w+)\(.*?sa_family=AF_INET6?, sin6?_port=htons\((?P<port>\d+)\).*?"
    r"(?:inet_addr\(|inet_pton\(AF_INET6, )\"(?P<host>[^\"]+)\""
)
_NOWHERE = {"0.0.0.0", "::"}
"""Connected to, they are this machine."""


@dataclass(frozen=True)
class Attempt:
    """One attempt: the audit event or system call, the host or name, and what was run, where it is known."""

    how: str
    where: str
    program: str = ""


@dataclass(frozen=True)
class Watched:
    """A command that has ended, and the attempts of all its processes."""

    returncode: int
    stdout: str
    stderr: str
    attempts: tuple[Attempt, ...]


@cache
def has_strace() -> bool:
    """Whether strace is installed and may trace here."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", *_STRACE, "true"], capture_output=True, check=False).returncode == 0


_STRACE = ("-f", "--seccomp-bpf", "-qq", "-s", "32", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none")


def watched(
    argv: Sequence[str | Path], folder: Path, *, cwd: Path, env: Mapping[str, str], timeout: float = 400.0
) -> Watched:
    """Run a command without a network and wait for it and all that it starts. `folder` takes the records.

    Skips the test where the kernel has no namespaces for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    traced, recorded = folder / "strace.log", folder / "audit.log"
    for log in (traced, recorded):
        log.unlink(missing_ok=True)
    command = [sys.executable, "-I", str(_HERE / "no_network.py"), *map(str, argv)]
    if has_strace():
        command = ["strace", *_STRACE, "-o", str(traced), *command]
    python = os.pathsep.join(filter(None, (str(_HERE / "connection_log"), env.get("PYTHONPATH", ""))))
    try:
        done = subprocess.run(
            command, cwd=cwd, env={**env, "PYTHONPATH": python, "WATCHED_CONNECTIONS": str(recorded)},
            capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        _kill_what_is_left(recorded)
    if done.returncode == NOT_ALLOWED:
        pytest.skip(done.stderr.strip())
    return Watched(done.returncode, done.stdout, done.stderr, (*_of_audit(recorded), *_of_strace(traced)))


def _kill_what_is_left(recorded: Path) -> None:
    """Kill the processes of a command that did not end in time, in whatever sessions they are."""
    mark = f"WATCHED_CONNECTIONS={recorded}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def _of_audit(log: Path) -> Iterator[Attempt]:
    for line in log.read_text().splitlines() if log.exists() else ():
        event, host, arguments = json.loads(line)
        if host and host not in _NOWHERE and not is_loopback(host):
            yield Attempt(event, host, " ".join(arguments))


def _of_strace(log: Path) -> Iterator[Attempt]:
    for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
        if (found := _TRACED.match(line)) is None:
            continue
        host, asks_for_a_name = found["host"], int(found["port"]) == _DNS
        if asks_for_a_name or (host not in _NOWHERE and not is_loopback(host)):
            yield Attempt(found["call"], f"{host}:{found['port']}", found["process"])
