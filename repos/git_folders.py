"""Checks of a repository's files before git reads them: links, devices and borrowed objects lead elsewhere."""

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
"""Size limit in bytes of HEAD, of a `.git` file and the like."""
_LARGEST_CONFIG = 1 << 20
_DEEPEST = 10
"""Limit on nested includes of configurations; git itself follows ten."""
_MOST = 5_000_000
"""Limit on the files of a repository that are checked."""


def is_repository(place: Path) -> bool:
    """Whether a path is a git repository: a work tree with its `.git`, or a bare one."""
    try:
        bare = all((place / name).exists() for name in ("HEAD", "objects", "refs"))
        return bare or (place / ".git").exists()
    except (OSError, ValueError):  # too long, a loop of links, a NUL
        return False


def enclosing_repository(place: Path) -> Path | None:
    """The innermost git repository that a path is, or lies in, links resolved; None if there is none."""
    try:
        resolved = place.resolve()
    except (OSError, ValueError, RuntimeError):
        return None
    return next((each for each in (resolved, *resolved.parents) if is_repository(each)), None)


def repository_folders(place: Path) -> tuple[Path, Path]:
    """A repository's own folder and the one that it shares with its other work trees (usually the same).

    `place` is a work tree or a bare repository. Raises RepositoryError for a `.git` that is a link, or a file that
    leads to a repository which does not list this work tree.
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
    """Whether a repository's folder refers back to a work tree's `.git` file: a work tree, or a submodule."""
    back = own / "gitdir"
    if back.is_file():
        return (own / small_text(back).strip()).resolve() == git.resolve()
    config = own / "config"
    if not config.is_file():
        return False
    found = re.search(r"^\s*worktree\s*=\s*(.+?)\s*$", small_text(config), re.MULTILINE | re.IGNORECASE)
    return found is not None and (own / found[1].strip('"')).resolve() == git.parent.resolve()


def small_text(path: Path) -> str:
    """The text of a small regular file. Raises RepositoryError for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RepositoryError(f"{path} is not a regular file; the repository is damaged")
            raw = file.read(_SMALL + 1)
    except OSError as error:
        raise RepositoryError(f"{path} cannot be read: {error.strerror}; the repository is damaged") from error
    if len(raw) > _SMALL or b"\0" in raw:
        raise RepositoryError(
            f"{path} is not a file of git: over {_SMALL} bytes, or not text; the repository is damaged"
        )
    return raw.decode(errors="surrogateescape")


def refuse_leading_elsewhere(place: Path) -> None:
    """Raise RepositoryError for a repository whose files lead elsewhere, or block when read.

    Nothing of it is run. Objects may be hard links: a local clone shares them that way.
    """
    own, shared = repository_folders(place)
    for folder in dict.fromkeys((own, shared)):
        for name in (*_READ_BY_GIT, "config.worktree"):
            if odd := next(odd_entries(folder / name), None):
                raise RepositoryError(f"{odd}; replace it with a regular file or folder")
        if (folder / "HEAD").exists():
            _check_head(folder / "HEAD")
    for config in dict.fromkeys((own / "config", own / "config.worktree", shared / "config")):
        _check_includes(config)
    if why := borrowed(shared):
        raise RepositoryError(f"{shared} {why}")
    if any((folder / "shallow").exists() for folder in (own, shared)):
        raise RepositoryError(f"{place} is a shallow clone; run `git fetch --unshallow` in it first")


def _check_includes(config: Path, depth: int = 0) -> None:
    """Raise RepositoryError for a configuration that includes a device or pipe, on which git would block."""
    if depth > _DEEPEST or not config.exists():
        return
    if not config.is_file():
        raise RepositoryError(
            f"{str(config)[:300]!a} is included by a configuration, but is not a regular file; remove it"
        )
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
    """Entries under a path (itself included) that are neither regular files nor folders; none if it does not exist."""
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
    """Entries of a folder to check: for regular files in large folders only the kind matters."""
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if not entry.is_file(follow_symlinks=False)]


def _check_head(path: Path) -> None:
    text = small_text(path).strip()
    if not re.fullmatch(r"ref: refs/(?!.*(?:\.\.|//|\.lock$))[^\s\x00-\x1f~^:?*\[\\]+|[0-9a-f]{40}|[0-9a-f]{64}", text):
        raise RepositoryError(
            f"{path} holds {text[:80]!a}, which names no branch and no commit; the repository is damaged"
        )


def borrowed(folder: Path) -> str | None:
    """Why a repository is not self-contained: objects elsewhere, or a history that its commits do not have."""
    for name in ("alternates", "http-alternates"):
        if (folder / "objects" / "info" / name).exists():
            return f"borrows objects (objects/info/{name}); run `git repack -a -d` in it and remove that file"
    if (folder / "info" / "grafts").exists():
        return "has grafts, which change its history; remove info/grafts"
    if next((folder / "objects" / "pack").glob("*.promisor"), None):
        return "is a partial clone, which lacks objects; clone it again without --filter"
    return None
