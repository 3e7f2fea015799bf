"""Programs that arrive from a file, a folder, a git repository, or rows of a dataset, and commits of a repository, for
recipes."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from exchange.rows import read_rows
from harness.mining import mine
from harness.packages.contents import sketch_of
from host.folders import walk
from models.content import RepositoryContent
from models.errors import UsageError
from models.mining import MiningRules
from repos.clones import cached_clone
from repos.git_folders import enclosing_repository, is_repository
from training.data.sources.collections import Dropped
from training.data.sources.infilling import SourceCommit, commits_of_repository
from training.data.sources.lintseq.programs import (
    LICENCES,
    LINK,
    MOST_CHARACTERS,
    NOT_A_ROW,
    SUFFIX,
    Origin,
    has_licence,
    program_of_row,
    programs_of_repository,
)
from training.data.sources.lintseq.recipe import SourceProgram
from training.data.sources.repository_origin import origin_of_clone

_ROWS = (".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".csv", ".tsv")
_SHORT = 12
"""Characters of a content's hash in the names of its programs."""
_UNREADABLE, _NESTED = "cannot be read", "in another repository"
_MOST_BYTES = 4 * MOST_CHARACTERS + 1
Offer = SourceProgram | Dropped


@dataclass(frozen=True)
class Programs:
    """A source: its name, what identifies its state (a commit, or a hash), what it offers, in a fixed order, and the
    content of its repository, or of its files where it has none; rows have no content."""

    name: str
    state: str
    offers: Iterator[Offer]
    content: RepositoryContent | None = None


@dataclass(frozen=True)
class Commits:
    """A repository: its name, its newest commit, its kept commits, newest first, and its content."""

    name: str
    state: str
    offers: Iterator[SourceCommit | Dropped]
    content: RepositoryContent


@contextmanager
def opened_commits(place: Path, cache: Path, rules: MiningRules) -> Iterator[Commits]:
    """The kept commits of the repository at a path. Raises RepositoryError, InfrastructureError."""
    with cached_clone(place, cache) as git:
        found = origin_of_clone(git, place)
        commits = commits_of_repository(git, Origin.of_repository(found), mine(git, rules, with_symbols=False).commits)
        yield Commits(found.name, found.commit, commits, found.content)


@contextmanager
def opened_programs(place: Path, cache: Path, accepted: bool = False) -> Iterator[Programs]:
    """The programs at a path; of a path in a work tree those that its repository has there at HEAD.

    `accepted`: a person accepts rows without a licence. Raises UsageError for a path without any programs, and what
    reading a repository raises.
    """
    if not place.exists():
        raise UsageError(f"{place} does not exist; give Python files, a folder, a git repository or rows (JSON lines)")
    if place.is_dir() or place.suffix == SUFFIX:
        with _opened_repository(place, cache) as programs:
            yield programs or _without_repository(place)
    elif Path(place.name.lower().removesuffix(".gz")).suffix in _ROWS:
        with place.open("rb") as stream:
            state = hashlib.file_digest(stream, "sha256").hexdigest()
        yield Programs(_name(place), state, _of_rows(place, _origin(place, state), accepted))
    else:
        raise UsageError(
            f"{place}: is neither Python nor rows; give *{SUFFIX}, a folder, a git repository, or *{_ROWS[0]}"
        )


@contextmanager
def _opened_repository(place: Path, cache: Path) -> Iterator[Programs | None]:
    """What the repository around a path has there at HEAD; None without a repository, and if it has nothing there."""
    root = enclosing_repository(place)
    if root is None:
        yield None
        return
    with cached_clone(root, cache) as git:
        found = origin_of_clone(git, root)
        below = place.resolve().relative_to(root).as_posix()
        if below != "." and not any(PurePosixPath(each.path).is_relative_to(below) for each in git.tree(found.commit)):
            yield None
            return
        programs = programs_of_repository(git, Origin.of_repository(found), "" if below == "." else below)
        yield Programs(found.name, found.commit, programs, found.content)


def _without_repository(place: Path) -> Programs:
    """A folder or a file that no repository holds; copies of code are known by the content of its files."""
    if place.is_dir():
        state = _digest_of_files(place)
        texts = (found.decode(errors="replace") for _, found in _files(place) if isinstance(found, bytes))
        return Programs(_name(place), state, _of_folder(place, _origin(place, state)), sketch_of(texts))
    data = _start_of(place)
    state = hashlib.sha256(data).hexdigest()
    offer = _origin(place, state).program(place.name, data)
    return Programs(_name(place), state, iter([offer]), sketch_of([data.decode(errors="replace")]))


def _name(place: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", PurePosixPath(place.resolve()).name.removesuffix(".gz")).strip("-.")
    return Path(name).stem if place.is_file() and name else name or "programs"


def _origin(place: Path, content: str) -> Origin:
    return Origin(_name(place), content[:_SHORT])


def _start_of(place: Path) -> bytes:
    try:
        with place.open("rb") as stream:
            return stream.read(_MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{place}: cannot be read ({error.strerror})") from error


def _files(folder: Path) -> Iterator[tuple[str, bytes | str]]:
    """The Python files below a folder, links not followed: path, and content (cut if too long) or why there is none.

    Repositories below it are passed, each told once: their code has an origin of its own.
    """
    passed = "\0"  # the path of the repository that was passed last; what is below it comes next
    for level in walk(folder):
        if level.path is None or level.path.startswith(passed):
            continue
        if level.path and is_repository(folder / level.path):
            passed = level.path
            yield level.path, _NESTED
            continue
        for entry in level.entries:
            if entry.name.endswith(SUFFIX) and not entry.is_dir(follow_symlinks=False):
                yield f"{level.path}{entry.name}", _content(entry, level.descriptor)


def _content(entry: "os.DirEntry[str]", folder: int) -> bytes | str:
    if entry.is_symlink():
        return LINK
    try:
        handle = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return _UNREADABLE
    with os.fdopen(handle, "rb") as stream:
        return stream.read(_MOST_BYTES) if stat.S_ISREG(os.fstat(handle).st_mode) else _UNREADABLE


def _of_folder(folder: Path, origin: Origin) -> Iterator[Offer]:
    for path, found in _files(folder):
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        yield origin.program(shown, found) if isinstance(found, bytes) else Dropped(found, origin.row(shown))


def _digest_of_files(folder: Path) -> str:
    digest = hashlib.sha256()
    for path, found in _files(folder):
        content = hashlib.sha256(found).hexdigest() if isinstance(found, bytes) else found
        digest.update(json.dumps([path, content]).encode() + b"\n")
    return digest.hexdigest()


def _of_rows(place: Path, origin: Origin, accepted: bool) -> Iterator[Offer]:
    for row in read_rows(place):
        if row.value is None:
            yield Dropped(NOT_A_ROW, origin.row(row.fault))
        elif accepted or has_licence(row.value):
            yield program_of_row(row.value, row.place.replace(" ", "-"), origin)
        else:
            raise UsageError(
                f"{place}: {row.place} has no column with its licence ({', '.join(LICENCES)}); import public datasets "
                "by `cra datasets import`, or say --accept-licence if the licence of the rows allows your use"
            )
