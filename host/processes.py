"""Identities of processes, by which a lease's holder on this machine is known to be dead."""

import os
import socket
from functools import lru_cache
from pathlib import Path

_PROC = Path("/proc")


def this_process() -> str:
    """The identity of this process: host name, boot and namespace of process ids, process id, start time."""
    return identity_of(os.getpid())


def identity_of(pid: int) -> str:
    """The identity of a process of this machine that runs."""
    return f"{socket.gethostname()}/{_machine()}/{pid}/{_started(pid)}"


def is_dead(process: str) -> bool:
    """Whether the process of an identity has certainly ended. False for one of another machine, which is not known."""
    _, machine, pid, started = process.rsplit("/", 3)
    return machine == _machine() and machine != "" and _started(int(pid)) != started


def is_alive(process: str) -> bool:
    """Whether the process of an identity certainly runs. False for one of another machine, which is not known."""
    _, machine, pid, started = process.rsplit("/", 3)
    return machine == _machine() and machine != "" and _started(int(pid)) == started


def boot_time() -> float:
    """When this machine was started, by its clock as it is now; 0 where the kernel does not say."""
    try:
        rows = (_PROC / "stat").read_text().splitlines()
        return float(next((row.split()[1] for row in rows if row.startswith("btime ")), 0))
    except OSError:
        return 0.0


def shown_process(process: str) -> str:
    """A process for display: `process 12 on HOST`."""
    host, _, pid, _ = process.rsplit("/", 3)
    return f"process {pid} on {host}"


@lru_cache(maxsize=1)
def _machine() -> str:
    """The boot of this machine and the namespace in which process ids count; empty where the kernel does not say."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}.{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """The start of a process in clock ticks since boot; empty if there is none, or it waits to be reaped."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
