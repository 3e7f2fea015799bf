"""Commits parsed from their objects, where that agrees with git's log and saves a process."""

from typing import NamedTuple

from models.errors import RepositoryError
from repos.index.source import PastCommit
from repos.objects import Entry, Objects

_LATEST = (1 << 63) - 1


class StoredCommit(NamedTuple):
    """A commit as stored. `plain` means that it can be parsed without git: default encoding, regular dates."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    when: int
    message: bytes
    plain: bool


def commit_of(objects: Objects, sha: str) -> StoredCommit:
    """The commit of an id. Raises RepositoryError if it is missing or malformed."""
    head, _, message = objects.commit(sha).partition(b"\n\n")
    fields: dict[bytes, list[bytes]] = {}
    for line in head.split(b"\n"):
        name, _, value = line.partition(b" ")
        if name:  # a line that begins with a space continues the previous one
            fields.setdefault(name, []).append(value)
    if len(fields.get(b"tree", ())) != 1:
        raise RepositoryError(f"{sha} is no commit")
    when = fields.get(b"committer", [b""])[0].rpartition(b"> ")[2].split(b" ")[0]
    return StoredCommit(
        sha,
        fields[b"tree"][0].decode("ascii"),
        tuple(parent.decode("ascii") for parent in fields.get(b"parent", ())),
        seconds_of(when),
        message,
        when.isdigit() and len(when) < 12 and b"encoding" not in fields and b"\0" not in message,
    )


def seconds_of(when: bytes) -> int:
    """A commit's date in seconds since the epoch, bounded by what 64 bits can hold; 0 for one that is no date."""
    return min(int(when[:20]), _LATEST) if when.isdigit() else 0


def past_commit(objects: Objects, commit: StoredCommit) -> PastCommit | None:
    """The changes of a commit with one parent; None where git is needed: when files may have been renamed."""
    before, after = commit_of(objects, commit.parents[0]).tree, commit.tree
    changes = _Changes(objects)
    changes.compare(before, after, b"")
    if not commit.plain or (changes.added and changes.deleted):
        return None
    subject, body = split_message(commit.message)
    paths = sorted(path.decode(errors="surrogateescape") for path in changes.all())
    return PastCommit(commit.sha, subject, body, tuple(paths), commit.when, commit.parents, ())


def split_message(message: bytes) -> tuple[str, str]:
    """First line and the rest, both stripped."""
    subject, _, body = message.decode(errors="replace").strip().partition("\n")
    return subject.strip(), body.strip()


class _Changes:
    """Paths that differ between two folders."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.added: set[bytes] = set()
        self.deleted: set[bytes] = set()
        self.modified: set[bytes] = set()

    def all(self) -> set[bytes]:
        """Every path that differs."""
        return self.added | self.deleted | self.modified

    def compare(self, before: str, after: str, prefix: bytes) -> None:
        """Add the differences between two folders below a path."""
        old = {entry.name: entry for entry in self._objects.tree(before)}
        new = {entry.name: entry for entry in self._objects.tree(after)}
        for name in sorted(old.keys() | new.keys()):
            was, now = old.get(name), new.get(name)
            if was == now:
                continue
            path = prefix + name
            if was is not None and now is not None and was.is_folder == now.is_folder:
                if now.is_folder:
                    self.compare(was.id, now.id, path + b"/")
                else:
                    self.modified.add(path)
                continue
            self._whole(was, path, self.deleted)
            self._whole(now, path, self.added)

    def _whole(self, entry: Entry | None, path: bytes, found: set[bytes]) -> None:
        if entry is None:
            return
        if not entry.is_folder:
            found.add(path)
            return
        for inner in self._objects.tree(entry.id):
            self._whole(inner, path + b"/" + inner.name, found)
