"""Indexes of parent commits, built from cached parses and shared by the samples of an instance."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.packages.package import RepoPackage
from repos.sources import GitSource

if TYPE_CHECKING:
    from repos.index import IndexCache, RepositoryIndex

_HELD = 4
"""Indexes held in memory: trajectories run instance by instance, so that few are in use at a time."""


class Indexes:
    """Indexes of revisions of repo packages, their parts cached in a folder. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache: IndexCache | None = None
        self._held: OrderedDict[tuple[Path, str], RepositoryIndex] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, package: RepoPackage, revision: str) -> "RepositoryIndex":
        """The index of a revision. Indexes are built one at a time, so that the next reuses shared parts."""
        from repos.index import IndexCache, build_index

        key = (package.directory, revision)
        with self._lock:
            self._cache = self._cache or IndexCache(self._folder)
            if key not in self._held:
                self._held[key] = build_index(GitSource(package.git, revision), self._cache)
            self._held.move_to_end(key)
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
            return self._held[key]
