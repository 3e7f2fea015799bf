"""Revisions of our clones as the index reads them."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from agent.index.source import PastCommit, SourceEntry
from harness.git import Git
from models.errors import InfrastructureError

_FIRST = 8
"""Commits in the first answer of the log: enough for who knows an ancestor's history and only needs what came since."""
_FORMAT = "%H%x00%P%x00%ct%x00%B"


class GitSource:
    """A revision of one of our clones. Raises RepositoryError if there is none of that name."""

    def __init__(self, git: Git, revision: str) -> None:
        self.git = git
        self.revision = git.resolve(revision)

    def files(self) -> list[SourceEntry]:
        """Regular files, sorted by path; what is not UTF-8 in a path stays as surrogate escapes."""
        entries = []
        for record in self.git.output("ls-tree", "-r", "-l", "-z", "--full-tree", self.revision).split(b"\0"):
            if record.startswith((b"100644", b"100755")):
                head, path = record.split(b"\t", 1)
                _, _, blob, size = head.split()
                entries.append(SourceEntry(path.decode(errors="surrogateescape"), blob.decode(), int(size)))
        return sorted(entries)

    def read(self, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Contents by blob id, all in one git process."""
        wanted = list(dict.fromkeys(blobs))
        if wanted:
            yield from self.git.blobs(wanted).items()

    def commits(self, limit: int) -> Iterator[PastCommit]:
        """The revision and its ancestors, newest first. The oldest of a shallow clone have no known paths."""
        for skip, count in ((0, min(_FIRST, limit)), (_FIRST, limit - _FIRST)):
            if count > 0:
                yield from self._log(skip, count)

    def _log(self, skip: int, count: int) -> Iterator[PastCommit]:
        output = self.git.output(
            "log", "-z", "-M", "--raw", "--no-abbrev", f"--format={_FORMAT}", f"--skip={skip}", f"--max-count={count}",
            self.revision, "--",
        )  # fmt: skip
        tokens = output.split(b"\0")
        position = 0
        while position < len(tokens) and tokens[position]:
            try:
                sha, parents, when, message = tokens[position : position + 4]
                paths, renames, position = _changes(tokens, position + 4)
                seconds = int(when)
            except (ValueError, IndexError) as error:
                raise InfrastructureError(f"git log printed what no known git prints after {skip} commits") from error
            subject, _, body = message.decode(errors="replace").strip().partition("\n")
            name, ancestors = sha.decode(), tuple(parents.decode().split())
            if name in self._boundary:
                paths, renames = (), ()
            yield PastCommit(name, subject.strip(), body.strip(), paths, seconds, ancestors, renames)

    @cached_property
    def _boundary(self) -> frozenset[str]:
        """Commits of a shallow clone whose parents are missing: all their files look new."""
        shallow = self.git.directory / "shallow"
        return frozenset(shallow.read_text(encoding="ascii").split()) if shallow.is_file() else frozenset()


def _changes(tokens: list[bytes], position: int) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], int]:
    """Paths and renames of one commit's entries (`:mode mode blob blob status`, then one path or two), and the
    position after them."""
    paths: set[str] = set()
    renames = []
    while (head := tokens[position].lstrip(b"\n")).startswith(b":"):
        names = [name.decode(errors="surrogateescape") for name in tokens[position + 1 : position + 3]]
        moved = head.split(b" ")[4].startswith(b"R")
        paths.add(names[1] if moved else names[0])
        if moved:
            renames.append((names[0], names[1]))
        position += 3 if moved else 2
    return tuple(sorted(paths)), tuple(sorted(renames)), position
