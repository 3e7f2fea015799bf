"""Cached clones of users' repositories: each state of a repository is cloned once."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from host.locks import share_once_made
from host.private import make_directory
from models.errors import InfrastructureError, RepositoryError
from repos.git import Git, clone
from repos.git_folders import refuse_leading_elsewhere, repository_folders

_FOLDER = "clones"
_DONE = "cloned"


@contextmanager
def cached_clone(source: Path, cache: Path) -> Iterator[Git]:
    """A bare clone of the current state of the repository at a path, locked against removal while in use.

    git never runs inside the repository itself: the state is computed from its ref files. Clones of its earlier states
    are removed unless they are in use. Raises RepositoryError, InfrastructureError.
    """
    try:
        place = source.resolve()
        there = place.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, a loop of links
        raise RepositoryError(f"{_named(source)} is no path; give that of a git repository") from error
    if not there:
        raise RepositoryError(f"{_named(source)} is no directory; give the path of a git repository")
    refuse_leading_elsewhere(place)
    state = _state(place)
    siblings = cache / _FOLDER / hashlib.sha256(str(place).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = siblings / state
    with ExitStack() as stack:
        try:
            make_directory(folder)
            lock = stack.enter_context((siblings / f"{state}.lock").open("a"))
            turn = stack.enter_context((siblings / f"{state}.turn").open("a"))
            share_once_made(lock.fileno(), turn.fileno(), (folder / _DONE).exists, lambda: _clone(place, folder))
            _sweep(siblings, state)
        except OSError as error:
            raise InfrastructureError(
                f"{folder} cannot be used: {error.strerror}; free disk space, or name another folder by CRA_CACHE_DIR"
            ) from error
        yield Git(folder / "repo")


def _named(source: Path) -> str:
    """A path in printable form; what looks like a URL, which may contain a password, is shortened."""
    text = str(source)
    if re.match(r"[\w.+-]+:/|[^/]*:[^/]*@", text):
        return "a URL"
    return text if text.isprintable() and len(text) <= 200 else f"{text[:200]!a}"


def _clone(place: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    clone(str(place), folder / "repo")
    (folder / _DONE).touch()


def _sweep(siblings: Path, state: str) -> None:
    """Remove clones of other states that no process uses."""
    for folder in sorted(siblings.iterdir()):
        if folder.name == state or not folder.is_dir():
            continue
        with (siblings / f"{folder.name}.lock").open("a") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _state(place: Path) -> str:
    """A digest of a repository's refs, from its files alone."""
    pointed, shared = repository_folders(place)
    digest = hashlib.sha256()
    refs = [path for root in {pointed, shared} for path in _plain_files(root / "refs")]
    for path in sorted({pointed / "HEAD", shared / "packed-refs", *refs}):
        if path.is_file() and not path.is_symlink():
            digest.update(str(path).encode("utf-8", "surrogateescape") + b"\0" + path.read_bytes() + b"\0")
    for table in sorted((shared / "reftable").glob("*")):
        digest.update(table.name.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _plain_files(folder: Path) -> Iterator[Path]:
    for current, _, files in os.walk(folder, followlinks=False):
        yield from (Path(current, name) for name in files)
