"""Writing into untrusted trees: never through a link, never outside."""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from uuid import uuid4

from host.folders import LONGEST_PATH, NAME_MAX, NEW_FILE, PATH_MAX, walk
from host.reaper import FOLDER, remove_folder
from models.errors import CleanRoomError
from models.files import Overlay

_SHOWN = 200  # characters of a path in a message


class UnsafePath(CleanRoomError):
    """A path that leaves its tree, that git would treat as its own, or that file systems refuse."""


class LinkedPath(CleanRoomError):
    """A path that leads through a symlink; the message names the link."""


def inside(path: str) -> bool:
    """Whether a relative path stays inside a tree and is valid: no root, no `..`, no `.git`, no NUL, no empty name,
    nothing that file systems cannot encode or that is too long."""
    pure = PurePosixPath(path)
    names = {part.lower() for part in pure.parts}
    stays = bool(pure.parts) and not pure.is_absolute() and "\0" not in path and not names & {"..", ".git"}
    return stays and _can_be(path)


def _can_be(path: str) -> bool:
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:  # a lone surrogate that encodes no byte
        return False
    return len(encoded) <= PATH_MAX and max(map(len, encoded.split(b"/"))) <= NAME_MAX


def overlay(tree: Path, changes: Overlay) -> None:
    """Apply changes to a tree: removals first, then files. Whatever is in a file's way (a link, a folder) is removed.

    Raises UnsafePath, before anything is written, for a path that leaves the tree or that file systems refuse.
    """
    for path in sorted(changes):
        if not inside(path):
            raise UnsafePath(f"path {path[:_SHOWN]!r} leaves the tree or is invalid")
    for path in sorted(path for path, content in changes.items() if content is None):
        with contextlib.suppress(LinkedPath):
            remove_file(tree, path)
    for path, content in sorted(changes.items()):
        if content is not None:
            with parent_folder(tree, path, make=True, clear=True) as (parent, name):
                assert parent is not None
                write_file(parent, name, content[0], 0o755 if content[1] else 0o644)


def write_file(parent: int, name: str, content: bytes, mode: int) -> None:
    """Write a file into an open folder in one step, in place of a file or link of that name. Raises OSError."""
    temporary = f".{uuid4().hex}.tmp"
    descriptor = os.open(temporary, NEW_FILE, 0o600, dir_fd=parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        os.unlink(temporary, dir_fd=parent)
        raise


def remove_file(tree: Path, path: str) -> None:
    """Remove a file or link, and the folders that this leaves empty. Raises LinkedPath, OSError."""
    with parent_folder(tree, path) as (parent, name):
        if parent is None:
            return
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(name, dir_fd=parent)
    for folder in list(PurePosixPath(path).parents)[:-1]:
        with parent_folder(tree, folder.as_posix()) as (parent, name):
            if parent is None:
                return
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError:  # not empty, not there, or a link: nothing to prune
                return


@contextmanager
def parent_folder(
    tree: Path, path: str, *, make: bool = False, clear: bool = False
) -> Iterator[tuple[int | None, str]]:
    """The folder of a path as a descriptor, reached without following a link, and the path's last name.

    The descriptor is None where there is no such folder. With `make` folders that are missing are made; with `clear`
    whatever is in the way of them or of a file under that name is removed. Raises OSError, and without `clear`
    LinkedPath for a link among the folders.
    """
    *folders, name = PurePosixPath(path).parts
    current = os.open(tree, FOLDER)
    try:
        for folder in folders:
            try:
                below = os.open(folder, FOLDER, dir_fd=current)
            except OSError as error:
                if clear:
                    _clear(current, folder)
                elif isinstance(error, NotADirectoryError):
                    if stat.S_ISLNK(os.stat(folder, dir_fd=current, follow_symlinks=False).st_mode):
                        raise LinkedPath(f"{path} leads through the symlink {folder!r}") from error
                    yield None, name
                    return
                elif not isinstance(error, FileNotFoundError):
                    raise
                if not make:
                    yield None, name
                    return
                os.mkdir(folder, 0o755 if clear else 0o777, dir_fd=current)
                below = os.open(folder, FOLDER, dir_fd=current)
            os.close(current)
            current = below
        if clear:
            _clear(current, name)
        yield current, name
    finally:
        os.close(current)


def _clear(parent: int, name: str) -> None:
    """Remove the entry of a name in a folder: a file, a link (not its target), or a whole folder."""
    try:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        remove_folder(parent, name)
    else:
        os.unlink(name, dir_fd=parent)


def make_links(tree: Path, links: Mapping[str, str]) -> None:
    """Make symlinks (path -> target), then remove all of those that lead outside, however they are chained."""
    for path, goal in sorted(links.items()):
        if inside(path) and not goal.startswith("/") and "\0" not in goal:
            with parent_folder(tree, path, make=True, clear=True) as (parent, name):
                assert parent is not None
                os.symlink(goal, name, dir_fd=parent)
    root = tree.resolve()
    left = [tree / path for path in links]
    while escaping := [link for link in left if link.is_symlink() and not _stays(link, root)]:
        for link in escaping:
            link.unlink()


def _stays(link: Path, root: Path) -> bool:
    try:
        return link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a loop
        return False


def files_and_links(tree: Path) -> Iterator[tuple[str, bool]]:
    """Every file of a tree as (path, whether it is a symlink), links to folders included; no link is followed.

    Skipped is what cannot be opened under its path: entries of unreadable folders, and paths longer than the system
    accepts.
    """
    for folder in walk(tree):
        if folder.path is None:
            continue
        for entry in folder.entries:
            path = f"{folder.path}{entry.name}"
            if len(path) <= LONGEST_PATH and (entry.is_symlink() or entry.is_file(follow_symlinks=False)):
                yield path, entry.is_symlink()
