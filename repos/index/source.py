"""Input of the index: one revision of a repository, wherever it is stored."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class SourceEntry(NamedTuple):
    """A regular file of the revision: its path, and the git id of its content."""

    path: str
    blob: str


class PastCommit(NamedTuple):
    """A commit among the revision's ancestors. `when` is seconds since the epoch.

    `paths` are the files it changed, by the names they had after it (deleted ones by their last name), sorted.
    `renames` are pairs (old path, new path) of the files it moved.
    """

    sha: str
    subject: str
    body: str
    paths: tuple[str, ...]
    when: int
    parents: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()


class RevisionSource(Protocol):
    """One revision. Symlinks and submodules are not files of it."""

    @property
    def revision(self) -> str:
        """The commit's id."""
        ...

    @property
    def complete(self) -> bool:
        """Whether all ancestors are present: not so in a shallow clone."""
        ...

    def files(self) -> list[SourceEntry]:
        """Regular files, sorted by path."""
        ...

    def read(self, blobs: Sequence[str], most: int | None = None) -> Iterator[tuple[str, bytes | None]]:
        """Contents by blob id, each requested id once; None for one of more than `most` bytes."""
        ...

    def commits(self, limit: int, cached: Mapping[str, PastCommit]) -> list[PastCommit]:
        """The `limit` latest of the revision and its ancestors, in the order of `by_age`; merges are left out.

        Commits in `cached`, by id, need not be looked up.
        """
        ...

    def since(self, known: Callable[[str], bool]) -> "HistorySince | None":
        """The commits after some ancestor that is known: a near one, if there is any."""
        ...


class HistorySince(NamedTuple):
    """An ancestor (or the revision itself), and the revision's history less that of the ancestor, without merges."""

    ancestor: str
    commits: list[PastCommit]


def by_age(commit: PastCommit) -> tuple[int, str]:
    """Sort key that puts the latest first; ids break ties between commits of one second."""
    return -commit.when, commit.sha
