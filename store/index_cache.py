"""The SQLite file behind the index cache: packed values by key, each row with a checksum.

The bytes are opaque here. Processes may share the file, and it may be deleted at any time. It is not synced, so a power
cut may damage it. A row whose checksum does not match counts as missing, and a file that SQLite cannot read is deleted
and created again.
"""

import contextlib
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from host.private import make_directory, private_file
from models.errors import InfrastructureError

_WAIT = 60.0
"""Seconds to wait for another process that writes."""
_MACHINE = frozenset(
    {
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    }
)  # fmt: skip
"""SQLite's errors that do not mean a damaged file."""
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

_T = TypeVar("_T")
RecordKey = tuple[str, str]
"""Blob id, and the language as which the content was parsed."""
PieceKey = tuple[str, bytes]
"""Language and digest."""
RecordParts = tuple[bytes, bytes, bytes]
"""Outline, tokens and uses, packed."""


class IndexFile:
    """The file at `path`, created at first use. `parser` is the version that records and pieces depend on.

    Threads may share an object: each call opens its own connection and is one transaction. Raises InfrastructureError
    when the file cannot be written or another process blocks it for a minute.
    """

    def __init__(self, path: Path, parser: str) -> None:
        self.path, self._parser = path, parser
        self._ready = False

    def records(self, keys: Sequence[RecordKey]) -> dict[RecordKey, RecordParts]:
        """The stored records among those requested."""

        select = "SELECT blob, checksum, outline, tokens, uses FROM records"

        def read(db: sqlite3.Connection) -> dict[RecordKey, RecordParts]:
            found: dict[RecordKey, RecordParts] = {}
            for form in sorted({form for _, form in keys}):
                blobs = [blob for blob, of in keys if of == form]
                rows = self._select(db, select, form, "blob", blobs)
                found |= {(blob, form): (a, b, c) for blob, total, a, b, c in rows if _checksum(a, b, c) == total}
            return found

        return self._attempt(read)

    def pieces(self, keys: Sequence[PieceKey]) -> dict[PieceKey, bytes]:
        """The stored pieces among those requested, which are all of one language."""
        language, digests = keys[0][0], [digest for _, digest in keys]

        def read(db: sqlite3.Connection) -> dict[PieceKey, bytes]:
            rows = self._select(db, "SELECT digest, checksum, piece FROM pieces", language, "digest", digests)
            return {(language, digest): piece for digest, total, piece in rows if _checksum(piece) == total}

        return self._attempt(read)

    def store(self, records: Mapping[RecordKey, RecordParts], pieces: Mapping[PieceKey, bytes]) -> None:
        """Store records and pieces, all or none; existing ones are replaced."""
        rows = [(*key, self._parser, *parts, _checksum(*parts)) for key, parts in sorted(records.items())]
        packed = [
            (digest, language, self._parser, piece, _checksum(piece))
            for (language, digest), piece in sorted(pieces.items())
        ]

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO records VALUES (?,?,?,?,?,?,?)", rows)
            db.executemany("INSERT OR REPLACE INTO pieces VALUES (?,?,?,?,?)", packed)

        self._attempt(write)

    def revisions(self) -> frozenset[str]:
        """Revisions whose history is stored."""
        return self._attempt(lambda db: frozenset(row[0] for row in db.execute("SELECT revision FROM histories")))

    def history(self, revision: str) -> bytes | None:
        """A revision's history; None if it is missing or damaged."""
        select = "SELECT history, checksum FROM histories WHERE revision = ?"
        row = self._attempt(lambda db: db.execute(select, (revision,)).fetchone())
        return row[0] if row is not None and isinstance(row[0], bytes) and _checksum(row[0]) == row[1] else None

    def store_history(self, revision: str, packed: bytes) -> None:
        """Store a revision's history; an existing one is replaced."""
        row = (revision, packed, _checksum(packed))
        self._attempt(lambda db: db.execute("INSERT OR REPLACE INTO histories VALUES (?,?,?)", row))

    def _select(
        self, db: sqlite3.Connection, select: str, language: str, column: str, wanted: Sequence[str | bytes]
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of this parser version whose column has one of the values."""
        for start in range(0, len(wanted), _CHUNK):
            some = wanted[start : start + _CHUNK]
            where = f"language = ? AND parser = ? AND {column} IN ({','.join('?' * len(some))})"
            yield from db.execute(f"{select} WHERE {where}", (language, self._parser, *some))

    def _attempt(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` on the database; if the file is damaged, once more on a new one."""
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
            raise InfrastructureError(f"{self.path.parent} cannot be created: {error.strerror}") from error
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


def _checksum(*parts: bytes) -> int:
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value
