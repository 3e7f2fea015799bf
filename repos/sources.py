"""Revisions of our clones as input of the index."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from models.errors import InfrastructureError
from repos.commits import StoredCommit, commit_of, past_commit, seconds_of, split_message
from repos.git import Git
from repos.index.source import HistorySince, PastCommit, SourceEntry, by_age
from repos.objects import objects_of

_NEAR = 32
"""Commits among which a known ancestor is searched first, without a separate git process."""
_FAR = 2000
"""Commits among which it is searched at all."""
_LOG = ("log", "-z", "-M", "--raw", "--no-abbrev", "--format=%H%x00%P%x00%ct%x00%B")


class GitSource:
    """A revision of one of our clones. Raises RepositoryError if it does not exist."""

    def __init__(self, git: Git, revision: str) -> None:
        self.git = git
        self._objects = objects_of(git.directory)
        self.revision = self._objects.resolve(revision) or git.resolve(revision)

    @property
    def complete(self) -> bool:
        """Whether the clone is not shallow."""
        return not self._boundary

    def files(self) -> list[SourceEntry]:
        """Regular files, sorted by path; bytes of a path that are not UTF-8 become surrogate escapes."""
        return sorted(self._files(commit_of(self._objects, self.revision).tree, ""))

    def _files(self, tree: str, prefix: str) -> Iterator[SourceEntry]:
        for entry in self._objects.tree(tree):
            path = prefix + entry.name.decode(errors="surrogateescape")
            if entry.is_folder:
                yield from self._files(entry.id, f"{path}/")
            elif entry.mode.startswith(b"100"):
                yield SourceEntry(path, entry.id)

    def read(self, blobs: Sequence[str], most: int | None = None) -> Iterator[tuple[str, bytes | None]]:
        """Contents by blob id, each requested id once; None for one of more than `most` bytes."""
        return self._objects.read(list(dict.fromkeys(blobs)), most)

    def commits(self, limit: int, cached: Mapping[str, PastCommit]) -> list[PastCommit]:
        """The latest of the revision and its ancestors, by commit date. In a shallow clone the oldest have no paths.

        Only those that are not `cached` are read from git.
        """
        listed = self.git.output("rev-list", "--no-merges", "--timestamp", self.revision).split()
        ages = sorted((-int(when), sha) for when, sha in zip(listed[::2], listed[1::2], strict=True))[:limit]
        chosen = [sha.decode() for _, sha in ages]
        asked = "".join(f"{sha}\n" for sha in chosen if sha not in cached).encode()
        new = list(self._log("--no-walk=unsorted", "--stdin", stdin=asked)) if asked else []
        return sorted([*(cached[sha] for sha in chosen if sha in cached), *new], key=by_age)

    def since(self, known: Callable[[str], bool]) -> HistorySince | None:
        """The commits after a near ancestor that is known; None if none of the latest _FAR ancestors is."""
        near = self._straight(known)
        if near is not None:
            return near
        listed = self.git.text("rev-list", f"--max-count={_FAR}", self.revision).split()
        ancestor = next((sha for sha in listed if known(sha)), None)
        if ancestor is None:
            return None
        return HistorySince(ancestor, sorted(self._log("--no-merges", f"^{ancestor}", self.revision), key=by_age))

    def _straight(self, known: Callable[[str], bool]) -> HistorySince | None:
        """The commits after a known ancestor, if they are few and have one parent each."""
        passed: list[StoredCommit] = []
        sha = self.revision
        while not known(sha):
            commit = commit_of(self._objects, sha)
            if len(commit.parents) != 1 or len(passed) == _NEAR:
                return None
            passed.append(commit)
            sha = commit.parents[0]
        parsed = {commit.sha: past_commit(self._objects, commit) for commit in passed}
        asked = "".join(f"{sha}\n" for sha, past in parsed.items() if past is None).encode()
        by_git = {past.sha: past for past in self._log("--no-walk=unsorted", "--stdin", stdin=asked)} if asked else {}
        return HistorySince(sha, sorted((past or by_git[each] for each, past in parsed.items()), key=by_age))

    def _log(self, *which: str, stdin: bytes | None = None) -> Iterator[PastCommit]:
        output = self.git.output(*_LOG, *which, *(() if stdin else ("--",)), stdin=stdin, timeout=1800)
        tokens = output.split(b"\0")
        position = 0
        while position < len(tokens) and tokens[position]:
            try:
                sha, parents, when, message = tokens[position : position + 4]
                paths, renames, position = _changes(tokens, position + 4)
                seconds = seconds_of(when)
            except (ValueError, IndexError) as error:
                raise InfrastructureError("git log printed an unknown format; upgrade git") from error
            subject, body = split_message(message)
            name, ancestors = sha.decode(), tuple(parents.decode().split())
            if name in self._boundary:
                paths, renames = (), ()
            yield PastCommit(name, subject, body, paths, seconds, ancestors, renames)

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
