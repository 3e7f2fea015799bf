"""The files that a commit modifies, before and after it, and whether it is taken back."""

import re
from collections.abc import Sequence

from models.manifest import Commit
from repos.commits import commit_of
from repos.git import Git
from repos.index.parse import MAX_BYTES
from repos.objects import Objects, objects_of

_REVERT = re.compile(r"^\W*revert(?:s|ed)?\b", re.IGNORECASE)
_REVERTED = re.compile(rb"This reverts commit ([0-9a-f]{7,40})")


def is_revert(commit: Commit) -> bool:
    """Whether a commit takes back another by its subject."""
    return _REVERT.match(commit.subject) is not None


def reverted(git: Git) -> tuple[str, ...]:
    """Beginnings of the ids of commits that later ones revert."""
    messages = git.output("log", "--format=%B", "--fixed-strings", "--grep=This reverts commit", "HEAD", "--")
    return tuple(sha.decode() for sha in _REVERTED.findall(messages))


def before_and_after(git: Git, commit: Commit, paths: Sequence[str]) -> dict[str, tuple[bytes | None, bytes | None]]:
    """Each file before and after a commit; None where it is no regular file of at most MAX_BYTES."""
    objects = objects_of(git.directory)
    before, after = (_read(objects, sha, paths) for sha in (commit.parent, commit.sha))
    return {path: (before[path], after[path]) for path in paths}


def _read(objects: Objects, sha: str, paths: Sequence[str]) -> dict[str, bytes | None]:
    tree = commit_of(objects, sha).tree
    blobs = {path: _blob(objects, tree, path) for path in paths}
    contents = dict(objects.read(sorted({blob for blob in blobs.values() if blob}), MAX_BYTES))
    return {path: contents[blob] if blob else None for path, blob in blobs.items()}


def _blob(objects: Objects, tree: str, path: str) -> str | None:
    """The id of a regular file in a tree."""
    *folders, name = path.encode("utf-8", "surrogateescape").split(b"/")
    for folder in folders:
        found = next((entry for entry in objects.tree(tree) if entry.name == folder and entry.is_folder), None)
        if found is None:
            return None
        tree = found.id
    return next((e.id for e in objects.tree(tree) if e.name == name and e.mode.startswith(b"100")), None)
