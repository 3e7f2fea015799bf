"""The files that a bundle is made of, each with its path below the prefix."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from exchange.bundle.layout import Category
from host.folders import walk
from models.errors import UsageError


class Source(NamedTuple):
    """A file on this machine. `ours`: it was made for the bundle, so its content may be linked instead of copied."""

    path: str
    file: Path
    category: Category
    executable: bool = False
    ours: bool = False


class LeftOut(NamedTuple):
    """Something that does not travel, and why."""

    what: str
    why: str


@dataclass
class Contents:
    """What travels and what does not. `folders` are empty folders."""

    files: list[Source] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def add(self, other: "Contents") -> None:
        """Add what another one holds."""
        self.files += other.files
        self.folders += other.folders
        self.left_out += other.left_out

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(source.file.stat().st_size for source in self.files)


def folder_contents(folder: Path, path: str, category: Category, *, ours: bool = False) -> Contents:
    """All files below a folder, without what lies at its top for processes that work there: locks (`*.lock`) and
    unfinished work (names with a leading dot). Further below a lock file is content, as `uv.lock` is. Raises UsageError
    for a link or a device, or what cannot be read."""
    found = Contents()
    for each in walk(folder):
        if each.path is None:
            raise UsageError(f"{folder} has paths that are too long; shorten them or move it away")
        if each.path.startswith("."):
            continue
        entries = [entry for entry in each.entries if each.path or not _unfinished(entry)]
        if not entries and each.path:
            found.folders.append(f"{path}/{each.path.rstrip('/')}")
        found.files += _files(folder, each.path, path, category, entries, ours=ours)
    return found


def _files(
    folder: Path, below: str, path: str, category: Category, entries: "list[os.DirEntry[str]]", *, ours: bool
) -> Iterator[Source]:
    for entry in entries:
        file, mode = folder / below / entry.name, entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            if not os.access(file, os.R_OK | os.X_OK):
                raise UsageError(f"{file} cannot be read; correct its permissions")
        elif stat.S_ISREG(mode):
            yield Source(f"{path}/{below}{entry.name}", file, category, ours=ours)
        else:
            raise UsageError(f"{file} is a link or a device, no plain file; remove it")


def _unfinished(entry: "os.DirEntry[str]") -> bool:
    return entry.name.endswith(".lock") or entry.name.startswith(".")
