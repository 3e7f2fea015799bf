"""Cache of the index in one SQLite file: records by blob id, and ancestor commits by their ids.

The file may be shared by processes and deleted at any time. It is not synced: a power cut may damage it. Every row has
a checksum; rows that do not match are recomputed, and a file that SQLite cannot read is replaced.
"""

import contextlib
import sqlite3
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from host.private import make_directory, private_file
from models.errors import InfrastructureError
from repos.index.import_graph import ResolvedImports
from repos.index.parse import PARSER_VERSION
from repos.index.pieces import Piece, pack, unpack
from repos.index.records import Record
from repos.index.source import PastCommit

_HELD = 2048
"""Records that a process keeps decoded."""
_PIECES = 1024
"""Pieces that a process keeps decoded."""
_HISTORIES = 4
"""Histories that a process keeps decoded."""
_WAIT = 60.0
"""Seconds to wait for another process that writes."""
_MACHINE = frozenset(
    {
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    }
)  # fmt: skip
"""SQLite errors that do not mean a damaged file."""
_CHUNK = 500
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS records (
        blob TEXT NOT NULL, language TEXT NOT NULL, parser TEXT NOT NULL, outline BLOB NOT NULL, tokens BLOB NOT NULL,
        uses BLOB NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (blob, language, parser)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS pieces (
        digest BLOB NOT NULL, language TEXT NOT NULL, parser TEXT NOT NULL, piece BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (digest, language, parser)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS histories (
        revision TEXT PRIMARY KEY, history BLOB NOT NULL, checksum INTEGER NOT NULL
    );
"""
_GRAMMARS = ("tree-sitter", "tree-sitter-python", "tree-sitter-javascript", "tree-sitter-typescript")

_K = TypeVar("_K")
_T = TypeVar("_T")
PieceKey = tuple[str, bytes]
"""Language and digest."""
CachedHistory = tuple[int, tuple[PastCommit, ...]]
"""The depth at which a history is stored, and its commits, the latest first."""
Key = tuple[str, str]
"""Blob id, and the form in which the content was read."""


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
        self._held: OrderedDict[Key, Record] = OrderedDict()
        self._pieces: OrderedDict[PieceKey, Piece] = OrderedDict()
        self._histories: OrderedDict[str, CachedHistory] = OrderedDict()
        self.wired: ResolvedImports | None = None
        """The import graph computed last; the next one is likely to be similar."""
        self._lock = Lock()
        self._ready = False

    def records(self, keys: Iterable[Key]) -> dict[Key, Record]:
        """The requested records that are known."""
        wanted = sorted(set(keys))
        with self._lock:
            found = {key: self._held[key] for key in wanted if key in self._held}
        missing = [key for key in wanted if key not in found]
        if missing:
            read = self._attempt(lambda db: _read_records(db, missing))
            self._hold(self._held, read, _HELD)
            found |= read
        return found

    def pieces(self, keys: Sequence[PieceKey]) -> dict[PieceKey, Piece]:
        """The requested pieces, all of one language, that are known."""
        with self._lock:
            found = {key: self._pieces[key] for key in keys if key in self._pieces}
        missing = sorted({key for key in keys if key not in found})
        if missing:
            read = self._attempt(lambda db: _read_pieces(db, missing))
            self._hold(self._pieces, read, _PIECES)
            found |= read
        return found

    def keep(self, records: Mapping[Key, Record], pieces: Mapping[PieceKey, Piece]) -> None:
        """Store records and pieces in one transaction."""
        if not records:
            return
        version = parser_version()
        rows = [(*key, version, *record.parts, _checksum(*record.parts)) for key, record in sorted(records.items())]
        packed = [(digest, language, pack(piece)) for (language, digest), piece in sorted(pieces.items())]
        parts = [(digest, language, version, piece, _checksum(piece)) for digest, language, piece in packed]

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO records VALUES (?,?,?,?,?,?,?)", rows)
            db.executemany("INSERT OR REPLACE INTO pieces VALUES (?,?,?,?,?)", parts)

        self._attempt(write)
        self._hold(self._held, records, _HELD)
        self._hold(self._pieces, pieces, _PIECES)

    def histories(self) -> frozenset[str]:
        """Revisions whose history is stored."""
        return self._attempt(lambda db: frozenset(row[0] for row in db.execute("SELECT revision FROM histories")))

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
        """The packed history of a revision; None if there is none, or it is damaged."""
        select = "SELECT history, checksum FROM histories WHERE revision = ?"
        row = self._attempt(lambda db: db.execute(select, (revision,)).fetchone())
        return row[0] if row is not None and isinstance(row[0], bytes) and _checksum(row[0]) == row[1] else None

    def keep_history(self, revision: str, packed: bytes, history: CachedHistory) -> None:
        """Store the packed history for `kept_history`, and keep the history itself in memory."""
        row = (revision, packed, _checksum(packed))
        self._attempt(lambda db: db.execute("INSERT OR REPLACE INTO histories VALUES (?,?,?)", row))
        self.hold_history(revision, history)

    def _hold(self, held: "OrderedDict[_K, _T]", more: Mapping[_K, _T], most: int) -> None:
        with self._lock:
            held.update(more)
            while len(held) > most:
                held.popitem(last=False)

    def _attempt(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run a database operation; once more with a new file if this one is damaged."""
        for last in (False, True):
            try:
                with self._connected() as db:
                    return work(db)
            except (sqlite3.DatabaseError, TypeError) as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in _MACHINE:
                    raise InfrastructureError(
                        f"{self.path} cannot be used: {error}; correct its permissions or free disk space"
                    ) from error
                if last:
                    raise InfrastructureError(f"{self.path} is damaged: {error}; delete it") from error
                self._discard()
        raise AssertionError("the second attempt returns or raises")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            if not self._ready:
                make_directory(self.path.parent)
                private_file(self.path)
        except OSError as error:
            raise InfrastructureError(f"{self.path.parent} cannot be made: {error.strerror}") from error
        with closing(sqlite3.connect(self.path, timeout=_WAIT)) as db, db:
            db.execute("PRAGMA synchronous = OFF")
            if not self._ready:
                db.executescript(_SCHEMA)
            yield db
        self._ready = True

    def _discard(self) -> None:
        self._ready = False
        for path in (self.path.with_name(self.path.name + "-journal"), self.path):
            path.unlink(missing_ok=True)


def _read_records(db: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, Record]:
    found = {}
    for form in sorted({key[1] for key in keys}):
        blobs = [key[0] for key in keys if key[1] == form]
        rows = _select(db, "SELECT blob, checksum, outline, tokens, uses FROM records", form, "blob", blobs)
        for blob, checksum, *parts in rows:
            if _checksum(*parts) == checksum:
                found[blob, form] = Record((parts[0], parts[1], parts[2]))
    return found


def _read_pieces(db: sqlite3.Connection, keys: Sequence[PieceKey]) -> dict[PieceKey, Piece]:
    language = keys[0][0]
    digests = [digest for _, digest in keys]
    rows = _select(db, "SELECT digest, checksum, piece FROM pieces", language, "digest", digests)
    return {(language, digest): unpack(piece) for digest, checksum, piece in rows if _checksum(piece) == checksum}


def _select(
    db: sqlite3.Connection, select: str, language: str, column: str, wanted: Sequence[str | bytes]
) -> Iterator[tuple[Any, ...]]:
    """Rows of our parser's version whose column has one of the given values."""
    for start in range(0, len(wanted), _CHUNK):
        some = wanted[start : start + _CHUNK]
        where = f"language = ? AND parser = ? AND {column} IN ({','.join('?' * len(some))})"
        yield from db.execute(f"{select} WHERE {where}", (language, parser_version(), *some))


def _checksum(*parts: bytes) -> int:
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value
