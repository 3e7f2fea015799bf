"""What the index reads: one revision of a repository, from wherever it is kept."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class SourceEntry(NamedTuple):
    """A regular file of the revision: its path, the git id of its content, its size in bytes."""

    path: str
    blob: str
    size: int


class PastCommit(NamedTuple):
    """A commit among the revision's ancestors. `when` is seconds since the epoch.

    `paths` are the files it changed by the names they had after it (deleted ones by the name they lost), sorted; none
    for a merge. `renames` are pairs (old path, new path) of the files it moved.
    """

    sha: str
    subject: str
    body: str
    paths: tuple[str, ...]
    when: int
    parents: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()


class Source(Protocol):
    """One revision. Symlinks and submodules are no files of it."""

    @property
    def revision(self) -> str:
        """The commit's id."""
        ...

    def files(self) -> list[SourceEntry]:
        """Regular files, sorted by path."""
        ...

    def read(self, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Contents by blob id, each wanted id once."""
        ...

    def commits(self, limit: int) -> Iterator[PastCommit]:
        """The revision and its ancestors, newest first, `limit` at most; read on as they are asked for.

        For a commit with one parent these are the commit and then what `commits` gives for the parent.
        """
        ...
