"""Copies of what lies on a medium: listed first, then copied once and never read there again.

The medium is opened for reading only, without following links and without waiting for pipes.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from harness.packages.checks import shown
from harness.packages.checks.tree import TreeFile
from host.folders import NEW_FILE
from host.reaper import FOLDER
from models.errors import PackageRefused
from models.intake import IntakeSettings, RefusalReason

Copied = Callable[[int], None]
"""Called with the bytes of each piece that was copied."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 1 << 20
_REPLACED = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO)
"""Errors of opening what was a file or a folder, and is a link, a file or a pipe now."""
_SPARE = 1 << 30
"""Bytes of the disk that stay free."""
_KINDS = {
    stat.S_IFLNK: "a link", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip


def list_tree(root: Path, limits: IntakeSettings) -> list[TreeFile]:
    """Everything below a folder, parents first, within limits of count, size, depth and path length.

    Raises PackageRefused at the first entry that exceeds a limit or is neither a regular file nor a folder.
    """
    found: list[TreeFile] = []
    try:
        descriptor = os.open(root, FOLDER)
        try:
            _list(descriptor, "", os.fstat(descriptor).st_dev, limits, found)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unreadable(root, error) from error
    return found


def _list(folder: int, prefix: str, device: int, limits: IntakeSettings, found: list[TreeFile]) -> None:
    here: list[TreeFile] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            here.append(_entry(f"{prefix}{entry.name}", status, device))
            if len(found) + len(here) > limits.max_files:
                raise PackageRefused(
                    RefusalReason.TOO_MANY_FILES, f"more than {limits.max_files} files (intake.max_files)"
                )
    here.sort(key=lambda each: each.path)
    found += here
    _check_limits(here, found, limits)
    for each in here:
        if each.folder:
            below = os.open(each.path.removeprefix(prefix), FOLDER, dir_fd=folder)
            try:
                _list(below, f"{each.path}/", device, limits, found)
            finally:
                os.close(below)


def _entry(path: str, status: os.stat_result, device: int) -> TreeFile:
    mode = status.st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "neither a file nor a folder")
        raise PackageRefused(RefusalReason.NOT_A_FILE, f"{shown(path)} is {kind}; replace it with a regular file")
    if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
        raise PackageRefused(RefusalReason.PRIVILEGED, f"{shown(path)} is marked setuid or setgid; remove the mark")
    if status.st_dev != device:
        raise PackageRefused(
            RefusalReason.OTHER_FILE_SYSTEM, f"{shown(path)} lies on another file system; copy the package whole"
        )
    return TreeFile(path, stat.S_ISDIR(mode), status.st_size, mode, status.st_mtime_ns)


def _check_limits(here: Sequence[TreeFile], found: Sequence[TreeFile], limits: IntakeSettings) -> None:
    for each in here:
        if len(os.fsencode(each.path)) > limits.max_path:
            raise PackageRefused(
                RefusalReason.TOO_LONG, f"{shown(each.path)} is longer than {limits.max_path} bytes (intake.max_path)"
            )
        if each.path.count("/") >= limits.max_depth:
            raise PackageRefused(
                RefusalReason.TOO_DEEP, f"{shown(each.path)} lies deeper than {limits.max_depth} (intake.max_depth)"
            )
    if (total := sum(each.size for each in found if not each.folder)) > limits.max_bytes:
        raise PackageRefused(
            RefusalReason.TOO_LARGE, f"its files have {total} bytes; intake.max_bytes is {limits.max_bytes}"
        )


def check_space(target: Path, entries: Sequence[TreeFile]) -> None:
    """Raise PackageRefused if the disk of the quarantine has no room for a package and its unpacked history."""
    needed = 2 * sum(each.size for each in entries if not each.folder) + _SPARE
    if (free := shutil.disk_usage(target).free) < needed:
        raise PackageRefused(
            RefusalReason.DISK_FULL,
            f"{free >> 20} MiB are free at {target}, {needed >> 20} are needed; free some space",
        )


def copy_files(root: Path, target: Path, entries: Sequence[TreeFile], copied: Copied) -> dict[str, str]:
    """SHA-256 by path of the files that were copied into `target`, which exists. Modes are not copied.

    A file is refused that is no longer what the list says. Raises PackageRefused.
    """
    found: dict[str, str] = {}
    try:
        top = os.open(root, FOLDER)
    except OSError as error:
        raise _unreadable(root, error) from error
    try:
        for each in entries:
            if each.folder:
                _made(target / each.path)
            else:
                found[each.path] = _copy(top, each, target / each.path, copied)
    finally:
        os.close(top)
    return found


def _made(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _copy(top: int, entry: TreeFile, target: Path, copied: Copied) -> str:
    digest, left = hashlib.sha256(), entry.size
    try:
        source = _opened(top, entry.path)
    except OSError as error:
        raise (_changed(entry) if error.errno in _REPLACED else _unreadable(entry.path, error)) from error
    try:
        if not _as_listed(source, entry):
            raise _changed(entry)
        with _new_file(target) as file:
            while left:
                piece = _read(source, min(left, _PIECE), entry.path)
                if not piece:
                    raise _changed(entry)
                digest.update(piece)
                _write(file.fileno(), piece, target)
                left -= len(piece)
                copied(len(piece))
        if _read(source, 1, entry.path) or not _as_listed(source, entry):
            raise _changed(entry)
    finally:
        os.close(source)
    return digest.hexdigest()


def _new_file(target: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(target, NEW_FILE, 0o644), "wb", 0)
    except OSError as error:
        raise _unwritable(target, error) from error


def _opened(top: int, path: str) -> int:
    """A file below a folder, opened component by component, so that none of them can be a link."""
    *folders, name = path.split("/")
    current = os.dup(top)
    try:
        for folder in folders:
            below = os.open(folder, FOLDER, dir_fd=current)
            os.close(current)
            current = below
        return os.open(name, _READ, dir_fd=current)
    finally:
        os.close(current)


def _as_listed(descriptor: int, entry: TreeFile) -> bool:
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (entry.size, entry.modified_ns)


def _read(descriptor: int, most: int, path: str) -> bytes:
    try:
        return os.read(descriptor, most)
    except OSError as error:
        raise _unreadable(path, error) from error


def _write(descriptor: int, piece: bytes, target: Path) -> None:
    view = memoryview(piece)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise _unwritable(target, error) from error


def content_hash(hashes: dict[str, str]) -> str:
    """The hash of a package's content: of the names and hashes of its files."""
    lines = "".join(f"{path}\0{digest}\n" for path, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def listing_hash(entries: Sequence[TreeFile]) -> str:
    """The hash of what a file system says of a package: names, sizes, modes and times."""
    lines = "".join(f"{each.path}\0{each.size}\0{each.mode}\0{each.modified_ns}\n" for each in entries)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def unlisted_hash(root: Path, error: PackageRefused) -> str:
    """What stands for the listing of a package that cannot be listed: its place and the reason."""
    return hashlib.sha256(f"{root}\0{error.reason}\0{error}".encode("utf-8", "surrogateescape")).hexdigest()


def _changed(entry: TreeFile) -> PackageRefused:
    return PackageRefused(
        RefusalReason.CHANGED, f"{shown(entry.path)} changed while it was copied; try again when nothing writes to it"
    )


def _unreadable(path: Path | str, error: OSError) -> PackageRefused:
    return PackageRefused(
        RefusalReason.UNREADABLE,
        f"{shown(str(path))} cannot be read: {error.strerror}; plug the medium in and try again",
    )


def _unwritable(path: Path, error: OSError) -> PackageRefused:
    return PackageRefused(
        RefusalReason.DISK_FULL, f"{path} cannot be written: {error.strerror}; free some space and try again"
    )
