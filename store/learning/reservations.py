"""Repositories that are held out for evaluation, by name and by content. Rows are never changed or deleted."""

from collections.abc import Iterable

from sqlalchemy import Connection, Engine, select

from store.database import reading
from store.rows import add
from store.runs.corpus import NamedContent, add_content, read_contents
from store.tables import Reservation, ReservedContent, table_of

_RESERVED = table_of(Reservation)


def reserved(curated: Engine) -> dict[str, str]:
    """The repositories that are held out for evaluation, each with the reason."""
    with reading(curated) as connection:
        rows = connection.execute(select(_RESERVED).order_by(_RESERVED.c.repository))
        return {row.repository: row.reason for row in rows}


def reserved_contents(curated: Engine) -> list[NamedContent]:
    """The contents of reserved repositories, by name."""
    with reading(curated) as connection:
        return read_contents(connection, ReservedContent)


def add_reservations(
    connection: Connection, repositories: Iterable[str], reason: str, contents: Iterable[NamedContent]
) -> list[str]:
    """Reserve repositories and store their contents, in an open transaction; returns the newly reserved ones."""
    for name, content in contents:
        add_content(connection, name, content, ReservedContent)
    return [name for name in repositories if add(connection, Reservation(repository=name, reason=reason))]
