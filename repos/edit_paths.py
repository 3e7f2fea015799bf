"""Paths that an edit may name: relative, normalised, inside the tree, and never git's own files."""

import re
import unicodedata

from host.folders import NAME_MAX
from models.errors import EditError

_DRIVE = re.compile(r"[A-Za-z]:")
_PATH_BYTES = 1024


def check_path(path: str) -> str:
    """The path itself if an edit may name it; otherwise raises EditError with the reason.

    Refused are absolute paths, `..`, anything not in normal form, backslashes and drive letters, control characters,
    whatever a file system may treat as `.git`, and names longer than file systems allow.
    """
    problem = _problem(path)
    if problem:
        raise EditError(f"path {path!r} {problem}; give a path relative to the repository root, like src/pkg/a.py")
    return path


def _problem(path: str) -> str | None:
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "is not valid unicode"
    if not path:
        return "is empty"
    if path.startswith("/") or _DRIVE.match(path):
        return "is absolute"
    if "\\" in path:
        return "holds a backslash"
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in path):
        return "holds a control character"
    parts = path.split("/")
    if ".." in parts:
        return "leaves the repository"
    if "" in parts or "." in parts:
        return "is not in normal form"
    if any(_names_git(part) for part in parts):
        return "lies in .git"
    if size > _PATH_BYTES or any(len(part.encode()) > NAME_MAX for part in parts):
        return "is too long"
    return None


def _names_git(part: str) -> bool:
    """Whether some file system opens `.git` under this name (case, trailing dots, invisible characters)."""
    visible = "".join(character for character in part if unicodedata.category(character) != "Cf")
    plain = unicodedata.normalize("NFKC", visible).lower().split(":", 1)[0].rstrip(". ")
    return plain in (".git", "git~1")


def parents(path: str) -> list[str]:
    """The parent folders of a path, outermost first: `a/b/c.py` -> `a`, `a/b`."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
