"""What earlier indexing found out: records by blob id, pieces by digest, and ancestor commits by their ids.

It lies packed in one SQLite file (`store.index_cache`), and what was used lately is held decoded in memory.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TypeVar

from repos.index.import_graph import ResolvedImports
from repos.index.parse import PARSER_VERSION
from repos.index.pieces import Piece, pack, unpack
from repos.index.records import Record
from repos.index.source import PastCommit
from store.index_cache import IndexFile, PieceKey, RecordKey

_HELD = 2048
"""Records that a process keeps decoded."""
_PIECES = 1024
"""Pieces that a process keeps decoded."""
_HISTORIES = 4
"""Histories that a process keeps decoded."""
_GRAMMARS = ("tree-sitter", "tree-sitter-python", "tree-sitter-javascript", "tree-sitter-typescript")

_K = TypeVar("_K")
_T = TypeVar("_T")
CachedHistory = tuple[int, tuple[PastCommit, ...]]
"""How many other histories one is kept by, and its commits, the latest first."""


@lru_cache(maxsize=1)
def parser_version() -> str:
    """Versions of our parser and of the grammars: the other inputs of a record."""
    return "-".join([str(PARSER_VERSION), *(version(name) for name in _GRAMMARS)])


class IndexCache:
    """The cache in a directory, created when it is first written to. Thread-safe.

    Raises InfrastructureError when the directory cannot be written or another process blocks it for a minute.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "index.db"
        self._file = IndexFile(self.path, parser_version())
        self._held: OrderedDict[RecordKey, Record] = OrderedDict()
        self._pieces: OrderedDict[PieceKey, Piece] = OrderedDict()
        self._histories: OrderedDict[str, CachedHistory] = OrderedDict()
        self.wired: ResolvedImports | None = None
        """The import graph computed last; the next one is likely to be similar."""
        self._lock = Lock()

    def records(self, keys: Iterable[RecordKey]) -> dict[RecordKey, Record]:
        """Those of the wanted records that are known."""
        wanted = sorted(set(keys))
        with self._lock:
            found = {key: self._held[key] for key in wanted if key in self._held}
        if missing := [key for key in wanted if key not in found]:
            read = {key: Record(parts) for key, parts in self._file.records(missing).items()}
            self._hold(self._held, read, _HELD)
            found |= read
        return found

    def pieces(self, keys: Sequence[PieceKey]) -> dict[PieceKey, Piece]:
        """The requested pieces, all of one language, that are known."""
        with self._lock:
            found = {key: self._pieces[key] for key in keys if key in self._pieces}
        if missing := sorted({key for key in keys if key not in found}):
            read = {key: unpack(packed) for key, packed in self._file.pieces(missing).items()}
            self._hold(self._pieces, read, _PIECES)
            found |= read
        return found

    def keep(self, records: Mapping[RecordKey, Record], pieces: Mapping[PieceKey, Piece]) -> None:
        """Store records and pieces, all or none."""
        if not records:
            return
        parts = {key: record.parts for key, record in records.items()}
        self._file.store(parts, {key: pack(piece) for key, piece in pieces.items()})
        self._hold(self._held, records, _HELD)
        self._hold(self._pieces, pieces, _PIECES)

    def histories(self) -> frozenset[str]:
        """Revisions whose history is kept."""
        return self._file.revisions()

    def held_history(self, revision: str) -> CachedHistory | None:
        """A history in this process's memory."""
        with self._lock:
            return self._histories.get(revision)

    def latest_history(self) -> tuple[str, CachedHistory] | None:
        """The revision and history that this process used last."""
        with self._lock:
            revision = next(reversed(self._histories), None)
            return (revision, self._histories[revision]) if revision else None

    def hold_history(self, revision: str, history: CachedHistory) -> None:
        """Keep a history in memory."""
        with self._lock:
            self._histories[revision] = history
            self._histories.move_to_end(revision)
            while len(self._histories) > _HISTORIES:
                self._histories.popitem(last=False)

    def kept_history(self, revision: str) -> bytes | None:
        """What was kept of a revision's history; None if that is nothing, or damaged."""
        return self._file.history(revision)

    def keep_history(self, revision: str, packed: bytes, history: CachedHistory) -> None:
        """Store what `kept_history` is to give, and hold the history itself."""
        self._file.store_history(revision, packed)
        self.hold_history(revision, history)

    def _hold(self, held: "OrderedDict[_K, _T]", more: Mapping[_K, _T], most: int) -> None:
        with self._lock:
            held.update(more)
            while len(held) > most:
                held.popitem(last=False)
