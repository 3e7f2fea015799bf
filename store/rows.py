"""Write transactions: inserts are idempotent, and a row's texts are stored in the same transaction.

An existing row with the key is kept (`add`), or must be equal to the new one (`record`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Engine, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel

from models.errors import DatabaseError
from store.tables import FreeText, table_of
from store.texts import Texts

MEASURED = frozenset(
    {"created_at", "opened_at", "started_at", "latency", "seconds", "cost", "cached_tokens", "retries", "reused"}
)
"""Columns that differ between repetitions of the same work; they are ignored when two rows are compared."""


@contextmanager
def writing(engine: Engine, texts: Texts | None = None) -> Iterator[Connection]:
    """A transaction that writes the texts first; all of it is stored, or nothing."""
    blobs = texts.compress(engine) if texts is not None else []
    with engine.begin() as connection:
        for blob in blobs:
            add(connection, blob)
        yield connection


def add(connection: Connection, row: SQLModel) -> bool:
    """Insert a row unless its key is taken; returns whether it was inserted."""
    return _insert(connection, table_of(type(row)), row.model_dump())


def add_in_sequence(connection: Connection, row: SQLModel) -> bool:
    """Insert a row as `add` does, with the next number of its table as its `sequence`: the order of such rows does not
    depend on a clock."""
    table = table_of(type(row))
    following = select(func.coalesce(func.max(table.c.sequence), 0) + 1).scalar_subquery()
    return _insert(connection, table, row.model_dump() | {"sequence": following})


def _insert(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return connection.execute(insert(table).values(values).on_conflict_do_nothing()).rowcount > 0


def in_sequence(table: Table) -> tuple[ColumnElement[int], Column[str]]:
    """The order of the rows of a table with a `sequence`, the oldest first."""
    return func.coalesce(table.c.sequence, 0), table.c.id


def newest_first(table: Table) -> tuple[ColumnElement[int], Column[str]]:
    """The order of the rows of a table with a `sequence`, the newest first."""
    number, key = in_sequence(table)
    return number.desc(), key


def record(connection: Connection, row: SQLModel) -> None:
    """Insert a row; an equal row may exist. Raises DatabaseError if its key holds other content."""
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
        raise DatabaseError(f"{table.name} ({where}) already holds a different {differing[0]}; begin a new attempt")
