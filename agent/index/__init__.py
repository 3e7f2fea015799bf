"""What lies where in a repository."""

from agent.index.build import build_index
from agent.index.cache import IndexCache
from agent.index.records import IndexedSymbol
from agent.index.repository import IndexedFile, RepositoryIndex
from agent.index.source import PastCommit, Source, SourceEntry

__all__ = [
    "IndexCache",
    "IndexedFile",
    "IndexedSymbol",
    "PastCommit",
    "RepositoryIndex",
    "Source",
    "SourceEntry",
    "build_index",
]
