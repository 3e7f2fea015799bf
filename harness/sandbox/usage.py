"""What a process tree uses, read from /proc: no control group, and so no privilege, is needed.

Reading takes time in which a tree can change, so a tree may exceed its limits for a moment; what binds at
once are the kernel's own limits per process (see supervise).
"""

import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK = 512
_FILE_COST = 4096  # a file costs this much at least, so that a flood of empty ones is a flood too

_CLOCK_SLACK = 0.01  # seconds; change times come from a coarser clock


@dataclass
class Tree:
    """Processes of a tree, threads counted, and resident bytes (shared pages counted for each process)."""

    pids: list[int] = field(default_factory=list)
    tasks: int = 0
    resident: int = 0


def tree_of(root: int, most_tasks: int) -> Tree:
    """The tree below a process, itself included; the walk ends early once `most_tasks` are exceeded."""
    tree = Tree()
    waiting = [root]
    while waiting and tree.tasks <= most_tasks:
        pid = waiting.pop()
        try:
            fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
            threads = int(fields[17])
            ids = [str(pid)] if threads <= 1 else os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
            children = b" ".join(_read(f"/proc/{pid}/task/{thread}/children") for thread in ids)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between two looks
        tree.pids.append(pid)
        tree.tasks += max(threads, 1)
        tree.resident += int(fields[21]) * _PAGE
        waiting.extend(int(child) for child in children.split())
    return tree


def _read(path: str) -> bytes:
    """A small file of /proc, with as few system calls as can be: this runs twenty times a second."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def proportional(pids: Sequence[int]) -> int:
    """Resident memory in bytes with shared pages counted once (dearer to read than the resident size)."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended, or the sandbox's own helper, which may hide itself
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
    """Notices when a command has written too much under the host directories that it may write.

    The free space of their file systems is read at each look, which is cheap; the directories are walked only
    when that has fallen by more than the limit.
    """

    def __init__(self, directories: Sequence[Path], limit: int) -> None:
        self._directories = [directory for directory in directories if directory.is_dir()]
        self._limit = limit
        self._started = time.time() - _CLOCK_SLACK
        self._free = [_free(directory) for directory in self._directories]
        self.devices = frozenset(directory.stat().st_dev for directory in self._directories)

    def exceeded(self, pids: Sequence[int]) -> bool:
        """Whether more than the limit was written since the start; change times cannot be forged."""
        if not any(map(self._shrunk, self._directories, self._free)):
            return False
        written = unlinked(pids, self.devices)[0]
        for directory in self._directories:
            written += self._written(directory, self._limit - written)
        return written > self._limit

    def _shrunk(self, directory: Path, before: tuple[int, int]) -> bool:
        return any(old - new > self._limit for old, new in zip(before, _free(directory), strict=True))

    def _written(self, root: Path, enough: int) -> int:
        total, waiting = 0, [str(root)]
        while waiting and total <= enough:
            try:
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(status.st_mode):
                            waiting.append(entry.path)
                        if status.st_ctime >= self._started:
                            total += max(status.st_blocks * _BLOCK, _FILE_COST)
            except OSError:
                continue  # removed, or made unreadable, while we look
        return total


def _free(directory: Path) -> tuple[int, int]:
    """Free bytes of a file system, and what its free inodes are worth."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize, status.f_favail * _FILE_COST
