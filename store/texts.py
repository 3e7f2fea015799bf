"""Content-addressed texts: each is stored once, compressed, under the SHA-256 of its UTF-8."""

import hashlib
import zlib
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Engine, Select, select

from models.errors import DatabaseError
from store.database import chunks, reading
from store.tables import Blob, table_of

_BLOBS = table_of(Blob)


def sha256(text: str) -> str:
    """The hash under which a text is stored."""
    return hashlib.sha256(_encode(text)).hexdigest()


class Texts:
    """Texts to store: collected first, compressed without a lock, then written in the caller's transaction
    (`store.rows.writing`)."""

    def __init__(self) -> None:
        self._pending: dict[str, bytes] = {}

    def add(self, text: str) -> str:
        """Add a text to store; returns its hash."""
        data = _encode(text)
        key = hashlib.sha256(data).hexdigest()
        self._pending[key] = data
        return key

    def update(self, other: "Texts") -> None:
        """Add the texts of another collection."""
        self._pending |= other._pending

    def compress(self, engine: Engine) -> list[Blob]:
        """Rows for the texts that the database lacks, in key order, so that two writers cannot deadlock."""
        known: set[str] = set()
        with reading(engine) as connection:
            for part in chunks(self._pending):
                known.update(connection.scalars(select(_BLOBS.c.sha256).where(_BLOBS.c.sha256.in_(part))))
        return [_blob(key, data) for key, data in sorted(self._pending.items()) if key not in known]


def read_texts(connection: Connection, hashes: Iterable[str]) -> dict[str, str]:
    """Texts by hash. Raises DatabaseError for one that is missing or damaged."""
    wanted = set(hashes)
    texts: dict[str, str] = {}
    for part in chunks(wanted):
        for row in connection.execute(select(_BLOBS).where(_BLOBS.c.sha256.in_(part))).mappings():
            texts[row["sha256"]] = _text(row)
    if missing := wanted - texts.keys():
        raise DatabaseError(f"text {min(missing)} is not in the database; check the hash")
    return texts


def find_text(connection: Connection, query: Select[Any]) -> str | None:
    """The text whose hash a query returns; None without a row. Raises DatabaseError as `read_texts` does."""
    key = connection.scalar(query)
    return None if key is None else read_texts(connection, [key])[key]


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _blob(key: str, data: bytes) -> Blob:
    packed = zlib.compress(data)
    if len(packed) < len(data):
        return Blob(sha256=key, codec="zlib", size=len(data), data=packed)
    return Blob(sha256=key, codec="raw", size=len(data), data=data)


def _text(row: Any) -> str:  # an Any: SQLAlchemy's row mapping
    try:
        data = zlib.decompress(row["data"]) if row["codec"] == "zlib" else bytes(row["data"])
    except zlib.error as error:
        raise DatabaseError(f"text {row['sha256']} is damaged; restore the database from a copy") from error
    if hashlib.sha256(data).hexdigest() != row["sha256"]:
        raise DatabaseError(f"text {row['sha256']} is damaged; restore the database from a copy")
    return data.decode("utf-8", "surrogatepass")
