"""A whole history, of every ref: commits with the files that they change, and what comes after a commit."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from models.errors import InfrastructureError
from repos.commits import seconds_of, split_message
from repos.git import Git

DAY = 86_400
_VENDORED = re.compile(r"(?:^|/)(?:vendor|node_modules|third_party|dist|site-packages)/")
_LOG = (
    "log",
    "--all",
    "--topo-order",
    "--reverse",
    "-z",
    "-M",
    "--raw",
    "--no-abbrev",
    "--format=%H%x00%P%x00%ct%x00%B",
)


@dataclass(frozen=True)
class FileChange:
    """A file that a commit changes: its status (A, M, D, R), path, blob after it, and the path before a rename."""

    status: str
    path: str
    blob: str
    old_path: str | None = None


@dataclass(frozen=True)
class Commit:
    """A commit; a merge has no changes of its own. `when` is the committer's date in seconds."""

    sha: str
    parents: tuple[str, ...]
    when: int
    subject: str
    body: str
    changes: tuple[FileChange, ...]

    @property
    def paths(self) -> frozenset[str]:
        """Every path that it changes, before and after renames."""
        return frozenset(path for change in self.changes for path in (change.path, change.old_path) if path is not None)

    @cached_property
    def size(self) -> int:
        """How many files it changes, vendored code left out."""
        return sum(not _VENDORED.search(change.path) for change in self.changes)


class History:
    """The commits of every ref, parents before children."""

    def __init__(self, git: Git) -> None:
        """Raises RepositoryError if there is no commit, InfrastructureError if git prints what cannot be read."""
        self.git = git
        self.head = git.resolve("HEAD")
        self.commits = tuple(_parsed(git.output(*_LOG, "--", timeout=1800)))
        self.position = {commit.sha: index for index, commit in enumerate(self.commits)}

    def commit(self, sha: str) -> Commit:
        """A commit by its id."""
        return self.commits[self.position[sha]]

    @cached_property
    def of_head(self) -> frozenset[str]:
        """The commits that HEAD reaches."""
        found: set[str] = set()
        waiting = [self.head]
        while waiting:
            sha = waiting.pop()
            if sha not in found and sha in self.position:
                found.add(sha)
                waiting += self.commit(sha).parents
        return frozenset(found)

    def after(self, sha: str, days: float, most: int) -> list[Commit]:
        """At most `most` commits that build on a commit and were made within `days` of it, parents first.

        Of a commit that HEAD reaches only those that HEAD reaches too. Merges are left out.
        """
        start = self.commit(sha)
        limit = start.when + days * DAY
        reached = {sha}
        found: list[Commit] = []
        for commit in self.commits[self.position[sha] + 1 :]:
            if reached.isdisjoint(commit.parents) or (sha in self.of_head and commit.sha not in self.of_head):
                continue
            reached.add(commit.sha)
            if commit.when <= limit and len(commit.parents) == 1:
                found.append(commit)
                if len(found) == most:
                    break
        return found

    @cached_property
    def latest(self) -> int:
        """The date of the latest commit."""
        return max(commit.when for commit in self.commits)


def _parsed(output: bytes) -> Iterator[Commit]:
    tokens = output.split(b"\0")
    position = 0
    while position < len(tokens) and tokens[position]:
        try:
            sha, parents, when, message = tokens[position : position + 4]
            changes, position = _changes(tokens, position + 4)
        except (ValueError, IndexError) as error:
            raise InfrastructureError("git log printed an unknown format; upgrade git") from error
        subject, body = split_message(message)
        yield Commit(sha.decode(), tuple(parents.decode().split()), seconds_of(when), subject, body, tuple(changes))


def _changes(tokens: list[bytes], position: int) -> tuple[list[FileChange], int]:
    """The entries (`:mode mode blob blob status`, then one path or two) of a commit, and the position after them."""
    found = []
    while (head := tokens[position].lstrip(b"\n")).startswith(b":"):
        _, mode, _, blob, status = head.decode("ascii").split(" ")
        names = [name.decode(errors="surrogateescape") for name in tokens[position + 1 : position + 3]]
        moved = status.startswith(("R", "C"))
        if mode in ("100644", "100755", "000000"):
            found.append(FileChange(status[0], names[moved], blob, names[0] if moved else None))
        position += 3 if moved else 2
    return found, position


@dataclass(frozen=True)
class Version:
    """A version of a file: the commit that made it, its path and blob ("" after a deletion)."""

    commit: str
    path: str
    blob: str


@dataclass
class FileLife:
    """The versions of one file through renames, deletion and return, oldest first."""

    versions: list[Version]
    moved: int = 0
    returned: int = 0

    @property
    def path(self) -> str:
        """Its last path."""
        return self.versions[-1].path


def lives(commits: Iterable[Commit], wanted: Callable[[str], bool]) -> list[FileLife]:
    """The lives of the files whose path is wanted at some time. A file that comes back with the content that was
    deleted, under the same path or another, goes on with its life; with other content it begins a new one."""
    living: dict[str, FileLife] = {}
    ended: dict[str, FileLife] = {}
    found: list[FileLife] = []
    for commit in commits:
        gone: dict[str, FileLife] = {}  # by name, of this commit: a file that is added elsewhere was moved, and edited
        for change in sorted(commit.changes, key=lambda each: each.status != "D"):
            old = change.old_path or change.path
            life = living.pop(old, None)
            if change.status == "D":
                if life is not None:
                    ended[life.versions[-1].blob] = gone[_name(change.path)] = life
                    life.versions.append(Version(commit.sha, change.path, ""))
                continue
            if life is None and wanted(change.path):
                life = ended.pop(change.blob, None) or gone.pop(_name(change.path), None)
                if life is not None:
                    life.returned += change.path == life.path
                    life.moved += change.path != life.path
                else:
                    life = FileLife([])
                    found.append(life)
            if life is not None:
                life.moved += change.old_path is not None and bool(life.versions)
                life.versions.append(Version(commit.sha, change.path, change.blob))
                living[change.path] = life
    return found


def _name(path: str) -> str:
    return path.rpartition("/")[2]
