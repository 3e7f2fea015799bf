"""Copies of databases that leave this machine: one state each, also while others write."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from host.postgres import run_program
from host.private import private_file
from models.errors import DatabaseError
from store.places import IN_DATA_DIR
from store.upkeep import copy_sqlite, password_apart

if TYPE_CHECKING:
    import sqlite3

PATHS = ("adapter_metadata", "bases", "training_runs")
"""The tables with a column `path` that is below the data directory."""
_DUMP_SECONDS = 6 * 3600


def snapshot_sqlite(source: Path, copy: Path, data_dir: Path) -> None:
    """Copy a SQLite database so that the same rows give the same bytes: compacted, without leases (which runs here
    hold), and with paths below the data directory as relative ones. Raises DatabaseError."""
    import sqlite3

    draft = copy.with_name(f"{copy.name}.draft")
    for old in (copy, draft):
        old.unlink(missing_ok=True)
    copy_sqlite(source, draft)
    try:
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as opened:
            opened.execute("BEGIN")
            _prepare(opened, (f"{data_dir}/", f"{data_dir.absolute()}/"))
            opened.execute("COMMIT")
            private_file(copy)
            opened.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as error:
        raise DatabaseError(f"{source} cannot be copied to {copy}: {error}; free some space and try again") from error
    finally:
        draft.unlink(missing_ok=True)


def _prepare(opened: "sqlite3.Connection", roots: tuple[str, ...]) -> None:
    tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table in sorted(tables.intersection(PATHS)):
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? ORDER BY name"
        triggers = list(opened.execute(query, (table,)))
        for name, _ in triggers:  # they refuse every change, and this is a copy
            opened.execute(f'DROP TRIGGER "{name}"')
        for root in dict.fromkeys(roots):
            opened.execute(
                f"UPDATE {table} SET path = ? || substr(path, ?) WHERE substr(path, 1, ?) = ?",  # noqa: S608 - constants
                (IN_DATA_DIR, len(root) + 1, len(root), root),
            )
        for _, sql in triggers:
            opened.execute(sql)
    if "leases" in tables:
        opened.execute("DELETE FROM leases")


def dump_postgresql(url: str, copy: Path) -> None:
    """Dump a PostgreSQL database for pg_restore. Raises InfrastructureError."""
    private_file(copy)
    bare, password = password_apart(url)
    secret = {} if password is None else {"PGPASSWORD": password}
    run_program("pg_dump", ["-Fc", "-f", str(copy), "-d", bare], env=secret, timeout=_DUMP_SECONDS)
