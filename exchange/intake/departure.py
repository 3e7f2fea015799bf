"""The connected side: a prepared package, checked as it will be on arrival, written to a medium for reading there."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exchange.intake.checking import CheckLog, check_content, check_files_named, check_listing, check_manifest
from exchange.intake.medium import MediumReader
from exchange.intake.quarantine import list_tree
from harness.packages.checks import shown
from harness.packages.package import MANIFEST, RepoPackage
from host.renames import sync_folder
from host.throwaway import discard
from models.errors import InfrastructureError, UsageError
from models.intake import IntakeSettings

_PIECE = 1 << 20
Written = Callable[[int, int], None]
"""Called with the bytes written so far and their total."""


@dataclass(frozen=True)
class Departed:
    """What was written: the folder on the medium, its files and bytes, how many bytes were there from before."""

    folder: Path
    files: int
    bytes: int
    kept: int


def check_departure(directory: Path, limits: IntakeSettings, stage: Callable[[str], None]) -> RepoPackage:
    """The package in a folder, after all checks of an arrival that run nothing of it. Raises PackageRefused."""
    log = CheckLog(stage)
    with MediumReader(directory, limits) as reader:
        entries = list_tree(reader)
    check_listing(log, entries)
    manifest = check_manifest(log, directory)
    check_files_named(log, entries, manifest)
    with tempfile.TemporaryDirectory(prefix="cra-history-") as scratch:
        return check_content(log, directory, manifest, entries, limits, Path(scratch) / "repo")


def write_to_medium(package: RepoPackage, medium: Path, limits: IntakeSettings, written: Written) -> Departed:
    """Write a package to its folder on a medium, and nothing else; the manifest comes last, so that a folder without
    one is not finished. Files that are there already, with the same content, are not written again.

    Raises UsageError for a medium that is read-only or holds something else under that name, InfrastructureError for
    one that is full or was pulled.
    """
    with MediumReader(package.directory, limits) as reader:
        entries = sorted(list_tree(reader), key=lambda each: each.path == MANIFEST)
    target = medium / package.manifest.name
    try:
        target.mkdir(exist_ok=True)
        _remove_others(target, {each.path for each in entries})
        total, done, kept = sum(each.size for each in entries if not each.folder), 0, 0
        for each in entries:
            place = target / each.path
            if each.folder:
                place.mkdir(exist_ok=True)
                continue
            if _same(package.directory / each.path, place, each.size):
                kept += each.size
            else:
                _write(package.directory / each.path, place)
            done += each.size
            written(done, total)
        for folder in (target, *(target / each.path for each in entries if each.folder), medium):
            sync_folder(folder)
    except PermissionError as error:
        raise UsageError(f"{medium} cannot be written: {error.strerror}; give a folder that can") from error
    except OSError as error:
        raise InfrastructureError(
            f"{target} is not finished: {error.strerror}; free some space or plug the medium in, and give the same "
            "command again: it goes on"
        ) from error
    return Departed(target, sum(not each.folder for each in entries), total, kept)


def _remove_others(target: Path, wanted: set[str]) -> None:
    """Remove an unfinished or earlier state of the same package; anything else is not ours to remove."""
    for path in sorted(target.rglob("*"), reverse=True):
        name = path.relative_to(target).as_posix()
        if name in wanted and not path.is_symlink():
            continue
        if name.split("/")[0] not in ("repo", "packages", "generated", "timings.json", MANIFEST):
            raise UsageError(f"{target} holds {shown(name)}, which is no part of a package; remove it")
        discard(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if (target / MANIFEST).exists():
        (target / MANIFEST).unlink()


def _same(source: Path, place: Path, size: int) -> bool:
    if not place.is_file() or place.stat().st_size != size:
        return False
    return _sha256(source) == _sha256(place)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(source: Path, place: Path) -> None:
    with source.open("rb") as stream, place.open("wb") as file:
        while piece := stream.read(_PIECE):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
