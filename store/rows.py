"""Writing rows so that writing them again is harmless, and texts so that each is stored once."""

import hashlib
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Table, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel

from models.errors import DatabaseError
from store.database import READ_ONLY
from store.tables import Blob, FreeText

MEASURED = frozenset(
    {"created_at", "opened_at", "started_at", "latency", "seconds", "cost", "cached_tokens", "retries", "reused"}
)
"""Columns that differ each time the same thing is done; they take no part in telling whether two rows are
the same."""

_CHUNK = 500


def table_of(model: type[SQLModel]) -> Table:
    """The table behind a model class."""
    table = inspect(model).local_table
    assert isinstance(table, Table)
    return table


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database and takes no write lock."""
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        yield connection


def add(connection: Connection, row: SQLModel) -> bool:
    """Insert a row unless its key is taken; whether it was inserted."""
    table = table_of(type(row))
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return connection.execute(insert(table).values(row.model_dump()).on_conflict_do_nothing()).rowcount > 0


def record(connection: Connection, row: SQLModel) -> None:
    """Insert a row; the same row again is fine. Raises DatabaseError if its key holds another content."""
    if add(connection, row):
        return
    table = table_of(type(row))
    values = row.model_dump()
    keys = {column.name: values[column.name] for column in table.primary_key}
    found = connection.execute(select(table).filter_by(**keys)).mappings().one()
    escape = FreeText().process_bind_param
    for column in table.columns:
        if isinstance(column.type, FreeText):
            values[column.name] = escape(values[column.name], connection.dialect)
    differing = [name for name, value in values.items() if name not in MEASURED and found[name] != value]
    if differing:
        where = ", ".join(f"{name} {value}" for name, value in keys.items())
        raise DatabaseError(f"{table.name} ({where}) already holds another {differing[0]}; begin a new attempt")


def chunks(items: Collection[str]) -> Iterator[list[str]]:
    """Items, as many at a time as a statement takes."""
    ordered = sorted(set(items))
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def sha256(text: str) -> str:
    """The hash under which a text is stored."""
    return hashlib.sha256(_encode(text)).hexdigest()


class Texts:
    """Texts to be stored: collected first, compressed without a lock, then written in the caller's
    transaction."""

    def __init__(self) -> None:
        self._pending: dict[str, bytes] = {}

    def add(self, text: str) -> str:
        """The hash of a text, which `write` will store."""
        data = _encode(text)
        key = hashlib.sha256(data).hexdigest()
        self._pending[key] = data
        return key

    def compress(self, engine: Engine) -> list[Blob]:
        """The rows for those texts that the database lacks, in key order (so that two writers cannot
        deadlock)."""
        with reading(engine) as connection:
            known = existing(connection, Blob, self._pending)
        return [_blob(key, data) for key, data in sorted(self._pending.items()) if key not in known]


def existing(connection: Connection, model: type[SQLModel], keys: Collection[str]) -> set[str]:
    """Those of `keys` that are in a table whose key is one text column."""
    (key,) = table_of(model).primary_key
    found: set[str] = set()
    for part in chunks(keys):
        found.update(connection.scalars(select(key).where(key.in_(part))))
    return found


def read_texts(connection: Connection, hashes: Iterable[str]) -> dict[str, str]:
    """Texts by hash. Raises DatabaseError for one that is missing or damaged."""
    wanted = set(hashes)
    table = table_of(Blob)
    texts: dict[str, str] = {}
    for part in chunks(wanted):
        for row in connection.execute(select(table).where(table.c.sha256.in_(part))).mappings():
            texts[row["sha256"]] = _text(row)
    if missing := wanted - texts.keys():
        raise DatabaseError(f"text {min(missing)} is not in the database; check the hash")
    return texts


@contextmanager
def writing(engine: Engine, texts: Texts | None = None) -> Iterator[Connection]:
    """A transaction: all of it is stored, the texts first, or nothing is."""
    blobs = texts.compress(engine) if texts is not None else []
    with engine.begin() as connection:
        for blob in blobs:
            add(connection, blob)
        yield connection


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
