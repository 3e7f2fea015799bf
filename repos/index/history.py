"""Past commits by file: how often files changed, with which others, and under which messages."""

from collections import Counter
from collections.abc import Collection, Sequence

from repos.index.source import PastCommit

MOST_FILES = 30
"""Commits that touch more files are no evidence of which belong together."""


class History:
    """Past commits by the files they touched, under their current names."""

    def __init__(self, commits: Sequence[PastCommit], paths: Collection[str]) -> None:
        """`commits` are the latest first; `paths` are the files of the revision: others are ignored."""
        self._commits = commits
        self._touching: dict[str, list[int]] = {}
        self._files: list[tuple[str, ...]] = []
        now: dict[str, str] = {}
        for number, commit in enumerate(commits):
            current = tuple(sorted({name for path in commit.paths if (name := now.get(path, path)) in paths}))
            self._files.append(current)
            for path in current:
                self._touching.setdefault(path, []).append(number)
            for old, new in commit.renames:
                now[old] = now.get(new, new)

    def changes(self, path: str) -> int:
        """How many commits touched a file."""
        return len(self._touching.get(path, ()))

    def commits(self, path: str) -> tuple[PastCommit, ...]:
        """Commits that touched a file, the latest first."""
        return tuple(self._commits[number] for number in self._touching.get(path, ()))

    def files(self, number: int) -> tuple[str, ...]:
        """Files that the commit at a position of the history touched, by their current names, sorted."""
        return self._files[number]

    def changed_with(self, path: str) -> Counter[str]:
        """How often other files changed together with a file, in commits of at most MOST_FILES files."""
        counts: Counter[str] = Counter()
        for number in self._touching.get(path, ()):
            if len(self._commits[number].paths) <= MOST_FILES:
                counts.update(other for other in self._files[number] if other != path)
        return Counter({other: counts[other] for other in sorted(counts)})
