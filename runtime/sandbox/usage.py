"""Resource usage of a process tree, read from /proc: needs no control group, and so no privilege.

The tree can change while it is read, so it may exceed its limits for a moment; only the kernel's own limits per process
apply at once (see supervise).
"""

import contextlib
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from host.folders import walk

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK = 512
_FILE_COST = 4096  # least cost of a file, so that a flood of empty ones counts
_MEMORY_FILE_COST = 1024  # the kernel's own memory for a file of a tmpfs, its name included
_SELDOM = 10.0  # least seconds between two walks without a reason
_SHARE = 50  # at most 1/50 of the time is spent on them


@dataclass
class ProcessTree:
    """Processes of a tree, threads counted, and resident bytes (shared pages counted for each process)."""

    pids: list[int] = field(default_factory=list)
    tasks: int = 0
    resident: int = 0


def tree_of(root: int, most_tasks: int) -> ProcessTree:
    """The tree below a process, itself included; the walk stops once `most_tasks` are exceeded."""
    tree = ProcessTree()
    waiting = [root]
    while waiting and tree.tasks <= most_tasks:
        pid = waiting.pop()
        try:
            fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
            threads = int(fields[17])
            ids = [str(pid)] if threads <= 1 else os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
            children = b" ".join(_read(f"/proc/{pid}/task/{thread}/children") for thread in ids)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between two reads
        tree.pids.append(pid)
        tree.tasks += max(threads, 1)
        tree.resident += int(fields[21]) * _PAGE
        waiting.extend(int(child) for child in children.split())
    return tree


def _read(path: str) -> bytes:
    """A small file of /proc, with as few system calls as possible: this runs twenty times a second."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def proportional(pids: Sequence[int]) -> int:
    """Resident memory in bytes with shared pages counted once (slower to read than the resident size)."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended, or the sandbox's own helper, which may be unreadable
        for line in rollup.splitlines():
            if line.startswith(b"Pss:"):
                total += int(line.split()[1]) * 1024
                break
    return total


def unlinked(pids: Sequence[int], devices: frozenset[int]) -> tuple[int, int]:
    """Bytes in open files without a name: on `devices`, and elsewhere (memory files)."""
    seen: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        for descriptor in descriptors:
            try:
                status = os.stat(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH116
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                seen[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK
    on_disk = sum(size for (device, _), size in seen.items() if device in devices)
    return on_disk, sum(seen.values()) - on_disk


class DiskWatch:
    """Detects when a command has written too much under the host directories that it may write.

    The free space of their file systems is read at each poll, which is cheap. The directories are walked only when that
    has fallen by more than the limit, and from time to time, as others may free space meanwhile.
    """

    def __init__(self, directories: Sequence[Path], limit: int) -> None:
        self._directories = [directory for directory in directories if directory.is_dir()]
        self._limit = limit
        self._started = time.time()
        self._free = [_free(directory) for directory in self._directories]
        self.devices = frozenset(directory.stat().st_dev for directory in self._directories)
        self._next_walk = time.monotonic() + _SELDOM

    def exceeded(self, pids: Sequence[int]) -> bool:
        """Whether more than the limit was written since the start; change times cannot be forged."""
        now = time.monotonic()
        if now < self._next_walk and not any(map(self._shrunk, self._directories, self._free)):
            return False
        written = unlinked(pids, self.devices)[0]
        for directory in self._directories:
            written += self._written(directory, self._limit - written)
        ended = time.monotonic()
        self._next_walk = ended + max(_SELDOM, _SHARE * (ended - now))
        return written > self._limit

    def _shrunk(self, directory: Path, before: tuple[int, int]) -> bool:
        return any(old - new > self._limit for old, new in zip(before, _free(directory), strict=True))

    def _written(self, root: Path, enough: int) -> int:
        total = 0
        with contextlib.suppress(OSError):  # the root itself was removed
            for folder in walk(root):
                for entry in folder.entries:
                    with contextlib.suppress(OSError):  # removed meanwhile
                        status = entry.stat(follow_symlinks=False)
                        if status.st_ctime >= self._started:
                            total += max(status.st_blocks * _BLOCK, _FILE_COST)
                if total > enough:
                    break
        return total


class ScratchWatch:
    """Usage of the sandbox's memory file systems: bytes, and the kernel's own memory for each file."""

    def __init__(self, workdir: Path | None, inside: str, places: Sequence[str]) -> None:
        """`inside` is the path of the host's `workdir` in the sandbox: it is set up once that exists."""
        self._workdir, self._inside, self._places = workdir, inside, places
        self._opened: list[int] = []

    def used(self, pids: Sequence[int]) -> int:
        """Bytes."""
        if not self._opened and self._workdir is not None:
            self._open(pids)
        states = [os.fstatvfs(descriptor) for descriptor in self._opened]
        return sum(
            (state.f_blocks - state.f_bfree) * state.f_frsize + (state.f_files - state.f_ffree) * _MEMORY_FILE_COST
            for state in states
        )

    def _open(self, pids: Sequence[int]) -> None:
        assert self._workdir is not None
        host = self._workdir.stat()
        for pid in pids:
            with contextlib.suppress(OSError):  # ended, or the sandbox's own helper, which may be unreadable
                seen = os.stat(f"/proc/{pid}/root{self._inside}")  # noqa: PTH116
                if (seen.st_dev, seen.st_ino) == (host.st_dev, host.st_ino):
                    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                    self._opened = [os.open(f"/proc/{pid}/root{place}", flags) for place in self._places]
                    return

    def close(self) -> None:
        """Close the file systems' descriptors."""
        while self._opened:
            os.close(self._opened.pop())


def _free(directory: Path) -> tuple[int, int]:
    """Free bytes of a file system, and the cost of its free inodes."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize, status.f_favail * _FILE_COST
