"""Walking, copying and handing over trees that strangers shaped: any depth, any names, no link followed, and never more
than a few descriptors open, so that neither recursion nor the length of a path is a limit."""

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
    """A folder that is being walked: `descriptor` is open until the next one is asked for.

    `path` is relative to the tree with a slash at its end, empty for the tree itself, and None where it is longer than
    any path that the system takes. `depth` is 0 for the tree itself, `name` the last name of the path. `entries` are
    its own, sorted by name; none where it cannot be read.
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
    """Every folder of a tree, each before those below it; with `most_depth` none that lies deeper.

    A folder that cannot be opened is left out; a tree whose folders are moved meanwhile is left early. Raises OSError
    when the root itself cannot be opened.
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
                    return  # somebody moves the tree about; what is left of it cannot be told
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
    except OSError:  # not ours to read, or gone
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
    """Make a user and the group of the same number the owner of a tree, links themselves included.

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
    """Let everybody read a tree, and run what its owner may run, unless its two topmost levels show that it is so.

    A tree is closed by the umask under which it was made, and so everywhere. Raises OSError when the file system does
    not allow it.
    """
    if not _open(root.stat().st_mode):
        root.chmod(_opened_mode(root.stat().st_mode))
    elif not root.is_dir() or all(_open(mode) for _, _, mode in _modes(root, most_depth=1)):
        return
    for descriptor, name, mode in _modes(root) if root.is_dir() else ():
        if not _open(mode):
            os.chmod(name, _opened_mode(mode), dir_fd=descriptor)


def _modes(root: Path, most_depth: int | None = None) -> Iterator[tuple[int, str, int]]:
    """The files and folders below a root: a descriptor of the folder, the name in it, the mode. Links are left out."""
    for folder in walk(root, most_depth):
        for entry in folder.entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                yield folder.descriptor, entry.name, mode


def _open(mode: int) -> bool:
    return stat.S_IMODE(mode) == _opened_mode(mode)


def _opened_mode(mode: int) -> int:
    """A mode with reading for all, and with running or entering for all where the owner may or it is a folder."""
    runs = stat.S_ISDIR(mode) or mode & stat.S_IXUSR
    return stat.S_IMODE(mode) | (0o555 if runs else 0o444)


def copy_tree(source: Path, target: Path) -> None:
    """Copy files, folders and links, as `shutil.copytree` does, however deep they lie; pipes and sockets are left out.

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
    """Copy what a file holds; what it only claims to hold, its holes, stays one."""
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
