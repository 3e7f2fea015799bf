"""Copies of what lies on a medium: listed first, then copied once and never read there again.

A process of its own reads the medium (`MediumReader`); what it reads is written here, in quarantine.
"""

import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from exchange.intake.medium import Facts, MediumFault, MediumReader
from harness.packages.checks import shown
from harness.packages.checks.tree import END_BYTES, START_BYTES, TreeFile, check_end, check_start
from host.folders import NEW_FILE
from models.errors import PackageRefused
from models.intake import IntakeSettings, RefusalReason

Copied = Callable[[int], None]
"""Called with the bytes of each piece that was copied."""

_REPLACED = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO)
"""Errors of opening what was a file or a folder, and is a link, a file or a pipe now."""
_SPARE = 1 << 30
"""Bytes of the disk that stay free."""
_BLOCK = 512
_LARGE = 1 << 20
"""Bytes from which on a file's kind is looked at before it is copied."""
_TELLING = re.compile(r"manifest\.json|timings\.json|repo/(HEAD|packed-refs|refs/.+)")
"""Small files of which a package's listing holds the content, as some file systems keep times to two seconds only."""
_TELLING_BYTES, _TELLING_FILES = 16 << 20, 1000
_KINDS = {
    stat.S_IFLNK: "a link", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip


def list_tree(medium: MediumReader) -> list[TreeFile]:
    """Everything below a folder, in the order of the paths, within limits of count, size, depth and path length.

    Raises PackageRefused at the first entry that exceeds a limit or is neither a regular file nor a folder.
    """
    found: list[TreeFile] = []
    limits, total, device = medium.limits, 0, None
    try:
        for path, facts in medium.tree():
            device = facts.device if device is None else device
            entry = _entry(path, facts, device)
            found.append(entry)
            total += 0 if entry.folder else entry.size
            if len(found) > limits.max_files:
                raise PackageRefused(
                    RefusalReason.TOO_MANY_FILES, f"more than {limits.max_files} files (intake.max_files)"
                )
            _check_limits(entry, total, limits)
    except MediumFault as error:
        raise _unreadable(medium.root, error) from error
    return sorted(found, key=lambda each: each.path)


def _entry(path: str, facts: Facts, device: int) -> TreeFile:
    mode = facts.mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "neither a file nor a folder")
        raise PackageRefused(RefusalReason.NOT_A_FILE, f"{shown(path)} is {kind}; replace it with a regular file")
    if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
        raise PackageRefused(RefusalReason.PRIVILEGED, f"{shown(path)} is marked setuid or setgid; remove the mark")
    if facts.device != device:
        raise PackageRefused(
            RefusalReason.OTHER_FILE_SYSTEM, f"{shown(path)} lies on another file system; copy the package whole"
        )
    stored = facts.blocks * _BLOCK
    return TreeFile(
        path, stat.S_ISDIR(mode), facts.size, mode, facts.modified_ns, facts.changed_ns, stored, facts.inode
    )


def _check_limits(entry: TreeFile, total: int, limits: IntakeSettings) -> None:
    if len(os.fsencode(entry.path)) > limits.max_path:
        raise PackageRefused(
            RefusalReason.TOO_LONG, f"{shown(entry.path)} is longer than {limits.max_path} bytes (intake.max_path)"
        )
    if entry.path.count("/") >= limits.max_depth:
        raise PackageRefused(
            RefusalReason.TOO_DEEP, f"{shown(entry.path)} lies deeper than {limits.max_depth} (intake.max_depth)"
        )
    if not entry.folder and entry.size > limits.max_file_bytes:
        raise PackageRefused(
            RefusalReason.TOO_LARGE,
            f"{shown(entry.path)} has {entry.size} bytes; intake.max_file_bytes is {limits.max_file_bytes}",
        )
    if total > limits.max_bytes:
        raise PackageRefused(
            RefusalReason.TOO_LARGE, f"its files have over {limits.max_bytes} bytes (intake.max_bytes)"
        )


def check_space(target: Path, entries: Sequence[TreeFile]) -> None:
    """Raise PackageRefused if the disk of the quarantine has no room for a package and its unpacked history."""
    needed = 2 * sum(each.size for each in entries if not each.folder) + _SPARE
    if (free := shutil.disk_usage(target).free) < needed:
        raise PackageRefused(
            RefusalReason.DISK_FULL,
            f"{free >> 20} MiB are free at {target}, {needed >> 20} are needed; free some space",
        )


def copy_files(medium: MediumReader, target: Path, entries: Sequence[TreeFile], copied: Copied) -> dict[str, str]:
    """SHA-256 by path of the files that were copied into `target`, which exists. Modes are not copied.

    A file is refused that is no longer what the list says. Raises PackageRefused.
    """
    found: dict[str, str] = {}
    for each in entries:
        if each.folder:
            _made(target / each.path)
        else:
            found[each.path] = _copy(medium, each, target / each.path, copied)
    return found


def _made(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _copy(medium: MediumReader, entry: TreeFile, target: Path, copied: Copied) -> str:
    digest = hashlib.sha256()
    with _new_file(target) as file:
        for piece in read_listed(medium, entry, 0, entry.size + 1):
            digest.update(piece)
            _write(file.fileno(), piece, target)
            copied(len(piece))
    return digest.hexdigest()


def read_listed(medium: MediumReader, entry: TreeFile, start: int, most: int) -> Iterator[bytes]:
    """A part of a file in pieces, at most `most` bytes. Raises PackageRefused, `changed` if the file is no longer as it
    was listed, before or after its bytes were read."""
    wanted = min(most, entry.size - start)
    try:
        for part in medium.file(entry.path, start, most):
            if isinstance(part, bytes):
                wanted -= len(part)
                if wanted < 0:
                    raise _changed(entry)
                yield part
            elif not _as_listed(part, entry):
                raise _changed(entry)
    except MediumFault as error:
        raise (_changed(entry) if error.errno in _REPLACED else _unreadable(entry.path, error)) from error
    if wanted:
        raise _changed(entry)


def check_large_files(medium: MediumReader, entries: Sequence[TreeFile]) -> None:
    """Raise PackageRefused for a large file that is not of its kind by its first and last bytes, read on the medium."""
    for each in entries:
        if not each.folder and each.size >= _LARGE:
            check_start(each.path, b"".join(read_listed(medium, each, 0, START_BYTES)))
            check_end(each.path, b"".join(read_listed(medium, each, each.size - END_BYTES, END_BYTES)))


def _new_file(target: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(target, NEW_FILE, 0o644), "wb", 0)
    except OSError as error:
        raise _unwritable(target, error) from error


def _as_listed(facts: Facts, entry: TreeFile) -> bool:
    now = (facts.size, facts.modified_ns, facts.changed_ns)
    return stat.S_ISREG(facts.mode) and now == (entry.size, entry.modified_ns, entry.changed_ns)


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


def listing_hash(medium: MediumReader, entries: Sequence[TreeFile]) -> str:
    """The hash of what a file system says of a package (names, sizes, modes, times of content and of names and modes),
    and of the content of its manifest and refs. Raises PackageRefused."""
    digest = hashlib.sha256()
    told = 0
    for each in entries:
        digest.update(_line(each))
        if not each.folder and each.size <= _TELLING_BYTES and told < _TELLING_FILES and _TELLING.fullmatch(each.path):
            told += 1
            for piece in read_listed(medium, each, 0, each.size + 1):
                digest.update(piece)
    return digest.hexdigest()


def look_hash(_: MediumReader, entries: Sequence[TreeFile]) -> str:
    """The hash of what a file system says of a package, with where each file is on the disk: nothing is read."""
    return hashlib.sha256(b"".join(b"%d\0%b" % (each.inode, _line(each)) for each in entries)).hexdigest()


def _line(entry: TreeFile) -> bytes:
    line = f"{entry.path}\0{entry.size}\0{entry.mode}\0{entry.modified_ns}\0{entry.changed_ns}\n"
    return line.encode("utf-8", "surrogateescape")


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
