"""Copies of databases that leave this machine: one state each, also while others write."""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from host.postgres import run_program
from host.private import private_file
from models.errors import DatabaseError
from store.database import HEADS, DatabaseKind, open_database
from store.places import IN_DATA_DIR
from store.solved_tasks import drop_tasks
from store.upkeep import copy_sqlite, database_facts, is_postgresql, password_apart, short_lived_engine, sqlite_file

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Engine

PATHS = {"adapter_metadata": "path", "bases": "path", "campaign_runs": "packages", "training_runs": "path"}
"""The tables with a column of a path below the data directory, or of a list of such paths in JSON."""
_DUMP_SECONDS = 6 * 3600


def snapshot_sqlite(
    source: Path, copy: Path, data_dir: Path, corpus: Path | None = None, *, without_tasks: bool = False
) -> None:
    """Copy a SQLite database so that the same rows give the same bytes: compacted, without leases (which runs here
    hold), and with paths below the data directory as relative ones, those of the corpus as `corpus/...` wherever it
    lies. `without_tasks`: a raw database without the tasks of `cra solve`. Raises DatabaseError."""
    import sqlite3

    draft = copy.with_name(f"{copy.name}.draft")
    for old in (copy, draft):
        old.unlink(missing_ok=True)
    copy_sqlite(source, draft)
    try:
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as opened:
            opened.execute("BEGIN")
            _prepare(opened, Places(data_dir, corpus or data_dir / "corpus"), without_tasks=without_tasks)
            opened.execute("COMMIT")
            private_file(copy)
            opened.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as error:
        raise DatabaseError(f"{source} cannot be copied to {copy}: {error}; free some space and try again") from error
    finally:
        draft.unlink(missing_ok=True)


class Places:
    """The folders of this machine, by how their paths are written in a copy."""

    def __init__(self, data_dir: Path, corpus: Path) -> None:
        folders = ((corpus, f"{IN_DATA_DIR}corpus/"), (data_dir, IN_DATA_DIR))
        self._roots = {f"{each}/": to for one, to in folders for each in (one, one.absolute(), one.resolve())}

    def path(self, path: str) -> str:
        """A path as a copy has it."""
        return next((to + path[len(root) :] for root, to in self._roots.items() if path.startswith(root)), path)

    def paths(self, listed: str) -> str:
        """A list of paths in JSON, as a copy has it."""
        return json.dumps([self.path(path) for path in json.loads(listed)])


def _prepare(opened: "sqlite3.Connection", places: Places, *, without_tasks: bool) -> None:
    opened.create_function("moved_path", 1, places.path, deterministic=True)
    opened.create_function("moved_packages", 1, places.paths, deterministic=True)
    triggers = list(opened.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"))
    for name, _ in triggers:  # they refuse every change, and this is a copy
        opened.execute(f'DROP TRIGGER "{name}"')
    tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table in sorted(tables.intersection(PATHS)):
        column = PATHS[table]
        opened.execute(f"UPDATE {table} SET {column} = moved_{column}({column})")  # noqa: S608 - constants
    if "leases" in tables:
        opened.execute("DELETE FROM leases")
    if without_tasks:
        drop_tasks(opened)
    for _, sql in triggers:
        opened.execute(sql)


def readable_copy(target: str, kind: DatabaseKind, folder: Path) -> str:
    """A target at which a database can be opened without being changed: opening one of an older schema would migrate
    it, so this is then that of a copy in `folder`, and of a new one there for one without tables. Raises DatabaseError,
    also for a PostgreSQL database of an older schema."""
    facts, copy = database_facts(target, kind), folder / f"{kind}.sqlite"
    if facts.schema == HEADS[kind]:
        return target
    if facts.schema is not None and is_postgresql(target):
        raise DatabaseError(
            f"{facts.where} has schema {facts.schema}, and {HEADS[kind]} is needed to read it; run `cra status`, which "
            "brings it up to date"
        )
    if facts.schema is None:
        open_database(copy, kind).dispose()
    else:
        copy_sqlite(sqlite_file(target), copy)
    return f"sqlite:///{copy}"


def unmigrated_registry(url: str, folder: Path) -> "Engine":
    """The curated database, which is not migrated. On a server it is read as it is, since the program in use then, an
    earlier one, cannot bring it up: names of bases and adapters are read alike in all schemas."""
    if is_postgresql(url):
        return short_lived_engine(url)
    folder.mkdir()
    return open_database(readable_copy(url, "curated", folder), "curated")


def dump_postgresql(url: str, copy: Path) -> None:
    """Dump a PostgreSQL database for pg_restore. Raises InfrastructureError."""
    private_file(copy)
    bare, password = password_apart(url)
    secret = {} if password is None else {"PGPASSWORD": password}
    run_program("pg_dump", ["-Fc", "-f", str(copy), "-d", bare], env=secret, timeout=_DUMP_SECONDS)
