"""Clones of people's own repositories, kept so that asking twice about one state of a repository clones it once."""

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.git import Git, clone
from models.errors import InfrastructureError, RepositoryError
from models.private import make_directory

_FOLDER = "clones"
_DONE = "cloned"


@contextmanager
def kept_clone(source: Path, cache: Path) -> Iterator[Git]:
    """A bare clone of the repository at a path as it is now, whose parts nobody removes meanwhile.

    git never runs inside the repository itself: whether a kept clone is still good is read off the files of its refs.
    Clones of its earlier states are removed unless they are in use. Raises RepositoryError, InfrastructureError.
    """
    place = source.resolve()
    if not place.is_dir():
        raise RepositoryError(f"{source} is no directory; give the path of a git repository")
    state = _state(place)
    siblings = cache / _FOLDER / hashlib.sha256(str(place).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = siblings / state
    with ExitStack() as stack:
        try:
            make_directory(folder)
            lock = stack.enter_context((siblings / f"{state}.lock").open("a"))
            _clone_once(place, folder, lock.fileno())
            _sweep(siblings, state)
        except OSError as error:
            raise InfrastructureError(f"{folder} cannot be used: {error.strerror}; free disk space") from error
        yield Git(folder / "repo")


def _clone_once(place: Path, folder: Path, lock: int) -> None:
    """Clone unless that is done, with the lock held alone meanwhile and shared afterwards."""
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not (folder / _DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        clone(str(place), folder / "repo")
        (folder / _DONE).touch()
    fcntl.flock(lock, fcntl.LOCK_SH)


def _sweep(siblings: Path, state: str) -> None:
    """Remove clones of other states that no process holds."""
    for folder in sorted(siblings.iterdir()):
        if folder.name == state or not folder.is_dir():
            continue
        with (siblings / f"{folder.name}.lock").open("a") as lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _state(place: Path) -> str:
    """A digest of what the refs of a repository say, by its files alone."""
    folder = place / ".git" if (place / ".git").exists() else place
    pointed = folder
    if folder.is_file():  # a work tree or a submodule, whose repository is elsewhere
        pointed = place / folder.read_text(errors="replace").removeprefix("gitdir:").strip()
    common = pointed / "commondir"
    shared = pointed / common.read_text(errors="replace").strip() if common.is_file() else pointed
    digest = hashlib.sha256()
    refs = [path for root in {pointed, shared} for path in (root / "refs").rglob("*")]
    for path in sorted({pointed / "HEAD", shared / "packed-refs", *refs}):
        if path.is_file():
            digest.update(str(path).encode("utf-8", "surrogateescape") + b"\0" + path.read_bytes() + b"\0")
    for table in sorted((shared / "reftable").glob("*")):
        digest.update(table.name.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]
