"""A copy of the curated database, from either kind of server to a new SQLite file."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from store.database import open_database, reading
from store.rows import writing
from store.tables import CuratedTable

if TYPE_CHECKING:
    from sqlalchemy import Engine


def copy_curated(source: "Engine", file: Path) -> "Engine":
    """Copy every row of a curated database, as one state of it, to a new SQLite file, which is opened.

    Bases and adapters keep the paths of their files. Raises DatabaseError if the file cannot be written.
    """
    copy = open_database(file, "curated")
    tables = CuratedTable.metadata.sorted_tables
    with reading(source) as old, writing(copy) as new:
        for table in tables:
            if rows := [dict(row) for row in old.execute(select(table)).mappings()]:
                new.execute(insert(table), rows)
    return copy
