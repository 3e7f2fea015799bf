"""The files of a repository, looked at before git reads them: links, devices and borrowed objects lead elsewhere."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from host.process import CommandFailed, run
from models.errors import RepositoryError

_READ_BY_GIT = (
    "HEAD",
    "config",
    "objects",
    "refs",
    "packed-refs",
    "info/grafts",
    "commondir",
    "gitdir",
    "reftable",
    "shallow",
)
_SMALL = 64 << 10
"""Bytes of HEAD, of a `.git` file and the like."""
_LARGEST_CONFIG = 1 << 20
_DEEPEST = 10
"""Configurations that include one another; git itself follows ten."""
_MOST = 5_000_000
"""Files of a repository that are looked at."""


def repository_folders(place: Path) -> tuple[Path, Path]:
    """A repository's own folder and the one that it shares with its other work trees (mostly the same).

    `place` is a work tree or a bare repository. Raises RepositoryError for a `.git` that is a link, or a file that
    leads to a repository which does not know of this work tree.
    """
    git = place / ".git"
    if git.is_symlink():
        raise RepositoryError(f"{git} is a link; give the path of the repository that it leads to")
    if not git.exists():
        return place, place
    if git.is_dir():
        return git, _common(git)
    own = place / small_text(git).removeprefix("gitdir:").strip()
    if not own.is_dir():
        raise RepositoryError(f"{git} leads to {str(own)[:200]!a}, which is no folder; run `git worktree repair`")
    if not _knows(own, git):
        raise RepositoryError(f"{git} leads to {str(own)[:200]!a}, which has no such work tree; give its path")
    return own, _common(own)


def _common(own: Path) -> Path:
    file = own / "commondir"
    if not file.is_file():
        return own
    shared = own / small_text(file).strip()
    if own.parent.name != "worktrees" or own.parent.parent.resolve() != shared.resolve():
        raise RepositoryError(f"{file} leads to a repository that this is no work tree of; run `git worktree repair`")
    return shared


def _knows(own: Path, git: Path) -> bool:
    """Whether a repository's folder names a work tree's `.git` file as its own: a work tree, or a submodule."""
    back = own / "gitdir"
    if back.is_file():
        return (own / small_text(back).strip()).resolve() == git.resolve()
    config = own / "config"
    if not config.is_file():
        return False
    found = re.search(r"^\s*worktree\s*=\s*(.+?)\s*$", small_text(config), re.MULTILINE | re.IGNORECASE)
    return found is not None and (own / found[1].strip('"')).resolve() == git.parent.resolve()


def small_text(path: Path) -> str:
    """The text of a small, plain file. Raises RepositoryError for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RepositoryError(f"{path} is no plain file; the repository is damaged")
            raw = file.read(_SMALL + 1)
    except OSError as error:
        raise RepositoryError(f"{path} cannot be read: {error.strerror}; the repository is damaged") from error
    if len(raw) > _SMALL or b"\0" in raw:
        raise RepositoryError(
            f"{path} is no file of git's: over {_SMALL} bytes, or not text; the repository is damaged"
        )
    return raw.decode(errors="surrogateescape")


def refuse_leading_elsewhere(place: Path) -> None:
    """Raises RepositoryError for a repository whose files lead elsewhere, or would be waited for without end.

    Nothing of it is run. Objects may be hard links: a clone beside it shares them like that.
    """
    own, shared = repository_folders(place)
    for folder in dict.fromkeys((own, shared)):
        for name in (*_READ_BY_GIT, "config.worktree"):
            if odd := next(odd_entries(folder / name), None):
                raise RepositoryError(f"{odd}; make it a plain file or folder of the repository's own")
        if (folder / "HEAD").exists():
            _check_head(folder / "HEAD")
    for config in dict.fromkeys((own / "config", own / "config.worktree", shared / "config")):
        _check_includes(config)
    if why := borrowed(shared):
        raise RepositoryError(f"{shared} {why}")
    if any((folder / "shallow").exists() for folder in (own, shared)):
        raise RepositoryError(f"{place} is a shallow clone; run `git fetch --unshallow` in it first")


def _check_includes(config: Path, depth: int = 0) -> None:
    """Raises RepositoryError for a configuration that includes a device or pipe, which git would wait for."""
    if depth > _DEEPEST or not config.exists():
        return
    if not config.is_file():
        raise RepositoryError(f"{str(config)[:300]!a} is no plain file, and a configuration includes it; remove that")
    if b"include" not in config.read_bytes()[:_LARGEST_CONFIG].lower():
        return
    asked = ["git", "config", "--no-includes", "--null", "--file", str(config)]
    try:
        listed = run([*asked, "--get-regexp", r"^include(if\..*)?\.path$"], timeout=30)
    except CommandFailed:  # none
        return
    for entry in filter(None, listed.split(b"\0")):
        named = entry.partition(b"\n")[2].decode(errors="surrogateescape")
        _check_includes(config.parent / Path(named).expanduser(), depth + 1)


def odd_entries(path: Path) -> Iterator[str]:
    """What under a path (itself included) is neither a plain file nor a folder; nothing if there is no such path."""
    pending, count = [path], 0
    while pending:
        current = pending.pop()
        try:
            mode = current.lstat().st_mode
        except FileNotFoundError:
            continue
        count += 1
        if count > _MOST:
            yield f"{path} holds over {_MOST} files"
            return
        if stat.S_ISDIR(mode):
            pending += _children(current)
        elif not stat.S_ISREG(mode):
            yield f"{str(current)[:300]!a} is a {'link' if stat.S_ISLNK(mode) else 'device or pipe'}"


def _children(folder: Path) -> list[Path]:
    """What is in a folder that has to be looked at: of plain files in large folders only the kind matters."""
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if not entry.is_file(follow_symlinks=False)]


def _check_head(path: Path) -> None:
    text = small_text(path).strip()
    if not re.fullmatch(r"ref: refs/(?!.*(?:\.\.|//|\.lock$))[^\s\x00-\x1f~^:?*\[\\]+|[0-9a-f]{40}|[0-9a-f]{64}", text):
        raise RepositoryError(
            f"{path} holds {text[:80]!a}, which names no branch and no commit; the repository is damaged"
        )


def borrowed(folder: Path) -> str | None:
    """Why a repository is not whole by itself: objects elsewhere, or a history that is not the one of its commits."""
    for name in ("alternates", "http-alternates"):
        if (folder / "objects" / "info" / name).exists():
            return f"borrows objects (objects/info/{name}); run `git repack -a -d` in it and remove that file"
    if (folder / "info" / "grafts").exists():
        return "has grafts, which change its history; remove info/grafts"
    if next((folder / "objects" / "pack").glob("*.promisor"), None):
        return "is a partial clone, which lacks objects; clone it again without --filter"
    return None
