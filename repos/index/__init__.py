"""The code index of a repository."""

from repos.index.affected import AffectedTest
from repos.index.build import build_index
from repos.index.cache import IndexCache
from repos.index.records import IndexedSymbol
from repos.index.repository import IndexedFile, RepositoryIndex
from repos.index.source import PastCommit, RevisionSource, SourceEntry

__all__ = [
    "AffectedTest",
    "IndexCache",
    "IndexedFile",
    "IndexedSymbol",
    "PastCommit",
    "RepositoryIndex",
    "RevisionSource",
    "SourceEntry",
    "build_index",
]
