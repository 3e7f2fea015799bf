"""Control groups, version 2: kernel limits on a process tree, counting all memory that it holds.

One leaf per run, next to our own group or below one that we may use: root's own, or what systemd delegates to a user.
Where memory and processes cannot both be limited that way, none is used, and the tree is watched from outside.
"""

import contextlib
import functools
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.errors import InfrastructureError
from models.limits import Limits

_NEEDED = ("memory", "pids")
_HELPERS = 16  # our processes in a leaf, in addition to the command's own
_PREFIX = "cra-"
_PATIENCE = 5.0  # seconds to wait until a leaf with dead processes can be removed


@dataclass(frozen=True)
class RunCgroup:
    """A control group for one run."""

    path: Path

    def limit(self, limits: Limits) -> None:
        """Set the limits of a run. Raises OSError."""
        self._write("memory.max", str(limits.memory_bytes))
        if (self.path / "memory.swap.max").exists():  # not on a kernel without swap accounting
            self._write("memory.swap.max", "0")
        self._write("memory.oom.group", "1")
        self._write("pids.max", str(limits.processes + _HELPERS))

    def enter(self, pid: int) -> None:
        """Move a process into the group; its later children are in it as well. Raises OSError."""
        self._write("cgroup.procs", str(pid))

    def out_of_memory(self) -> bool:
        """Whether the kernel killed a process of the group because of the memory limit."""
        return self._events("memory.events").get("oom_kill", 0) > 0

    def out_of_processes(self) -> bool:
        """Whether the kernel refused the group a process."""
        return self._events("pids.events").get("max", 0) > 0

    def kill(self) -> None:
        """Kill every process of the group at once; not supported by kernels before 5.14."""
        with contextlib.suppress(OSError):
            self._write("cgroup.kill", "1")

    def remove(self) -> None:
        """Remove the group, whose processes have ended; if that fails, a later run removes it."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.005)
            else:
                return

    def _write(self, name: str, value: str) -> None:
        descriptor = os.open(self.path / name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)

    def _events(self, name: str) -> dict[str, int]:
        try:
            rows = [line.split() for line in (self.path / name).read_text().splitlines()]
        except OSError:
            return {}
        return {row[0]: int(row[1]) for row in rows if len(row) == 2}


@contextlib.contextmanager
def leaf(parent: Path | None, limits: Limits) -> Iterator[RunCgroup | None]:
    """A leaf below `parent` with the limits of a run, killed and removed at the end; None without a parent.

    Raises InfrastructureError when it cannot be created although others could.
    """
    if parent is None:
        yield None
        return
    made = RunCgroup(parent / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(6)}")
    try:
        made.path.mkdir()
        made.limit(limits)
    except OSError as error:
        made.remove()
        raise InfrastructureError(f"control group {made.path} cannot be made: {error.strerror}; try again") from error
    try:
        yield made
    finally:
        made.kill()
        made.remove()


@functools.cache
def delegated() -> Path | None:
    """The control group below which leaves can be created, entered and limited, or None; determined once."""
    return find_parent(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())


def find_parent(mounts: str, own: str) -> Path | None:
    """`delegated`, for the content of /proc/self/mountinfo and /proc/self/cgroup."""
    for candidate in candidates(mounts, own):
        if _offers(candidate) and _works(candidate):
            _remove_leftovers(candidate)
            return candidate
    return None


def candidates(mounts: str, own: str) -> list[Path]:
    """Our own group and those above it, the nearest first, under the mount point of version 2."""
    points = [row.split() for row in mounts.splitlines() if " - cgroup2 " in row]
    paths = [row.removeprefix("0::") for row in own.splitlines() if row.startswith("0::")]
    if not points or not paths:
        return []
    root, point = points[0][3], Path(points[0][4])
    inside = Path(paths[0])
    if root != "/" and inside.is_relative_to(root):
        inside = Path("/") / inside.relative_to(root)
    if ".." in inside.parts:  # our group is outside this mount
        return []
    nearest = point / inside.relative_to("/")
    return [nearest, *(parent for parent in nearest.parents if parent.is_relative_to(point))]


def _offers(group: Path) -> bool:
    """Whether children of a group can be limited; controllers that are only switched off are switched on."""
    try:
        missing = set(_NEEDED) - set((group / "cgroup.subtree_control").read_text().split())
        if missing and missing <= set((group / "cgroup.controllers").read_text().split()):
            (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(missing)))
            missing = set()
    except OSError:  # not ours, or it has processes of its own
        return False
    return not missing


def _works(parent: Path) -> bool:
    """Whether one of our processes can be moved into a limited leaf."""
    with subprocess.Popen(["/bin/sh", "-c", "read -r _"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as waiting:
        try:
            with leaf(parent, Limits()) as made:
                assert made is not None, "there is a parent"
                made.enter(waiting.pid)
                entered = str(waiting.pid) in (made.path / "cgroup.procs").read_text().split()
                waiting.kill()
                waiting.wait()
                return entered
        except (OSError, InfrastructureError):
            return False
        finally:
            waiting.kill()


def _remove_leftovers(parent: Path) -> None:
    """Remove the empty leaves of processes that were killed."""
    for path in parent.glob(f"{_PREFIX}*-*"):
        owner = path.name.removeprefix(_PREFIX).split("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            with contextlib.suppress(OSError):
                path.rmdir()
