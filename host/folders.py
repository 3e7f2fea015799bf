"""Walk, copy and hand over untrusted trees of any depth and with any names. No link is followed and only a few
descriptors are open at a time, so neither recursion depth nor path length is a limit."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from host.reaper import FOLDER

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
PATH_MAX, NAME_MAX = 4096, 255
"""Bytes of a path and of each of its names that file systems take."""
LONGEST_PATH = 4000
"""Characters of a path, relative to its tree, that the system still takes in one piece, with the tree's own path."""


class Folder(NamedTuple):
    """A folder of a walk: `descriptor` is open until the next folder is requested.

    `path` is relative to the tree with a trailing slash, empty for the tree itself, and None where it is longer than
    the system accepts. `depth` is 0 for the tree itself, `name` the last component of the path. `entries` are the names
    in it, sorted; none where it cannot be read.
    """

    descriptor: int
    depth: int
    name: str
    path: str | None
    entries: list["os.DirEntry[str]"]


class _Level(NamedTuple):
    identity: tuple[int, int]
    path: str | None
    left: list[str]  # folders below that are still to be visited, the next one last


def walk(root: Path | str, most_depth: int | None = None) -> Iterator[Folder]:
    """Yield every folder of a tree, parents first; with `most_depth`, only those at most that deep.

    A folder that cannot be opened is skipped; the walk ends early if folders of the tree are moved meanwhile. Raises
    OSError when the root itself cannot be opened.
    """
    current = os.open(root, FOLDER)
    levels: list[_Level] = []
    path: str | None = ""
    name = ""
    try:
        while True:
            entries = _entries(current)
            yield Folder(current, len(levels), name, path, entries)
            ends = most_depth is not None and len(levels) >= most_depth
            below = [] if ends else [entry.name for entry in reversed(entries) if _is_folder(entry)]
            levels.append(_Level(_identity(current), path, below))
            while levels and (step := _enter_next(current, levels[-1])) is None:
                levels.pop()
                if not levels:
                    return
                parent = os.open("..", FOLDER, dir_fd=current)
                os.close(current)
                current = parent
                if _identity(current) != levels[-1].identity:
                    return  # folders are being moved, so the rest cannot be found
            assert step is not None
            os.close(current)
            current, name, path = step
    finally:
        os.close(current)


def _enter_next(current: int, level: _Level) -> tuple[int, str, str | None] | None:
    """The next folder below that can be opened, with its path."""
    while level.left:
        name = level.left.pop()
        with contextlib.suppress(OSError):
            opened = os.open(name, FOLDER, dir_fd=current)
            path = None if level.path is None else f"{level.path}{name}/"
            return opened, name, path if path is not None and len(path) <= LONGEST_PATH else None
    return None


def _entries(descriptor: int) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(descriptor) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:  # not readable, or gone
        return []


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def give(root: Path, owner: int) -> None:
    """Make a user, and the group of the same number, the owner of a tree, links themselves included.

    Raises OSError when the file system does not allow it.
    """
    os.chown(root, owner, owner, follow_symlinks=False)
    for folder in walk(root) if root.is_dir() else ():
        for entry in folder.entries:
            try:
                os.chown(entry.name, owner, owner, dir_fd=folder.descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue


def let_read(root: Path) -> None:
    """Make a tree readable by everyone, and executable where its owner may execute; skipped if the two topmost levels
    already are.

    A restrictive umask closes a whole tree, so the top is a sample of it. Raises OSError when the file system does not
    allow the change.
    """
    if not _open(root.stat().st_mode):
        root.chmod(_opened_mode(root.stat().st_mode))
    elif not root.is_dir() or all(_open(mode) for _, _, mode in _modes(root, most_depth=1)):
        return
    for descriptor, name, mode in _modes(root) if root.is_dir() else ():
        if not _open(mode):
            os.chmod(name, _opened_mode(mode), dir_fd=descriptor)


def _modes(root: Path, most_depth: int | None = None) -> Iterator[tuple[int, str, int]]:
    """Files and folders below a root, as (descriptor of the parent folder, name in it, mode). Links are skipped."""
    for folder in walk(root, most_depth):
        for entry in folder.entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                yield folder.descriptor, entry.name, mode


def _open(mode: int) -> bool:
    return stat.S_IMODE(mode) == _opened_mode(mode)


def _opened_mode(mode: int) -> int:
    """A mode with read for all, and execute for all where the owner has it or it is a folder."""
    runs = stat.S_ISDIR(mode) or mode & stat.S_IXUSR
    return stat.S_IMODE(mode) | (0o555 if runs else 0o444)


def copy_tree(source: Path, target: Path) -> None:
    """Copy files, folders and links, as `shutil.copytree` does, at any depth; pipes and sockets are skipped.

    `target` must not exist. Raises OSError.
    """
    target.mkdir()
    here, depth = os.open(target, FOLDER), 0
    try:
        for folder in walk(source):
            for step in [*[".."] * (depth - folder.depth + 1), folder.name] if folder.depth else ():
                below = os.open(step, FOLDER, dir_fd=here)
                os.close(here)
                here = below
            depth = folder.depth
            for entry in folder.entries:
                _copy(entry, folder.descriptor, here)
    finally:
        os.close(here)


def _copy(entry: "os.DirEntry[str]", here: int, there: int) -> None:
    if entry.is_symlink():
        os.symlink(os.readlink(entry.name, dir_fd=here), entry.name, dir_fd=there)
    elif entry.is_dir(follow_symlinks=False):
        os.mkdir(entry.name, 0o755, dir_fd=there)
    elif entry.is_file(follow_symlinks=False):
        read = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        with os.fdopen(read, "rb") as original:
            status = os.fstat(read)
            with os.fdopen(os.open(entry.name, NEW_FILE, 0o600, dir_fd=there), "wb") as copy:
                _copy_content(original.fileno(), copy.fileno(), status.st_size)
                os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode))
                os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_content(read: int, write: int, size: int) -> None:
    """Copy the data of a file; holes stay holes."""
    os.ftruncate(write, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(read, at, os.SEEK_DATA)
            end = os.lseek(read, at, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        os.lseek(write, at, os.SEEK_SET)
        while at < end and (sent := os.sendfile(write, read, at, end - at)):
            at += sent
        at = end
