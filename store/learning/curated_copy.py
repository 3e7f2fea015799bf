"""A copy of the curated database, from either kind of server to a new SQLite file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from store.database import open_database, reading
from store.places import IN_DATA_DIR, located
from store.rows import writing
from store.tables import CuratedTable

if TYPE_CHECKING:
    from sqlalchemy import Engine


def copy_curated(source: "Engine", file: Path) -> "Engine":
    """Copy every row of a curated database, as one state of it, to a new SQLite file, which is opened.

    Bases and adapters keep their files where they are: paths that are relative to the data directory of the settings
    become absolute, as the copy may be read with another one. Raises DatabaseError if the file cannot be written.
    """
    copy = open_database(file, "curated")
    tables = CuratedTable.metadata.sorted_tables
    with reading(source) as old, writing(copy) as new:
        for table in tables:
            if rows := [_absolute(dict(row)) for row in old.execute(select(table)).mappings()]:
                new.execute(insert(table), rows)
    return copy


def _absolute(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: str(located(value)) if isinstance(value, str) and value.startswith(IN_DATA_DIR) else value
        for name, value in row.items()
    }
