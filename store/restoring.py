"""A dump of a PostgreSQL database, laid into an empty one on another machine.

    check     the database is there, or is made; it is empty, or holds the beginning of this very restoration
    restore   pg_restore, in one transaction
    settle    paths below the old data directory become relative to the new one, leases go; one transaction

How far it has come is the database's comment: a call that was killed leaves one from which the next goes on.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from host.postgres import run_program
from models.errors import DatabaseError
from store.database import _url, reading, shown
from store.snapshots import PATHS, Places
from store.upkeep import create_databases, database_on, password_apart, short_lived_engine

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_SECONDS = 6 * 3600
_LOCK_ID = 0x4E5704E
_MARK = "clean-room: {state} {sha256}"
_COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
_RELATIONS = """
SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
"""

_EARLIER = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'pg_restore'
"""
_TRIES, _PAUSE = 300, 0.1
"""How often it is asked whether an earlier pg_restore has ended, and the seconds between."""

State = Literal["empty", "begun", "restored"]


class Origin(NamedTuple):
    """The data directory and the corpus of the machine that a dump was made on."""

    data_dir: Path
    corpus: Path


def restore_state(url: str, dump: Path) -> State:
    """How far a dump has been restored into a database, which is made if it is not there.

    Raises DatabaseError if the database holds anything else, or cannot be reached.
    """
    with _opened(url) as engine:
        return _state(engine, _sha256(dump))


def restore_postgresql(url: str, dump: Path, origin: Origin) -> bool:
    """Restore a dump into an empty database, or go on with it; returns False if that was done before.

    Raises DatabaseError if the database holds anything else or another process restores into it, InfrastructureError
    if pg_restore fails: the database is then empty again.
    """
    sha256 = _sha256(dump)
    with _opened(url) as engine, _only_one(engine):
        state = _state(engine, sha256)
        if state == "restored":
            return False
        if state == "begun":
            _end_earlier(engine)
        with engine.begin() as connection:
            _mark(connection, "restoring", sha256)
        if _is_empty(engine):
            bare, password = password_apart(url)
            secret = {} if password is None else {"PGPASSWORD": password}
            options = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", "-d", bare]
            run_program("pg_restore", [*options, str(dump)], env=secret, timeout=_SECONDS)
        with engine.begin() as connection:
            _settle(connection, Places(origin.data_dir, origin.corpus))
            _mark(connection, "restored", sha256)
    return True


@contextmanager
def _opened(url: str) -> "Iterator[Engine]":
    engine = short_lived_engine(url)
    try:
        try:
            with reading(engine):
                pass
        except DatabaseError:  # it is not there yet, or the server is away, which this says as well
            create_databases(database_on(url, "postgres"), [_url(url).database or ""])
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _only_one(engine: "Engine") -> Iterator[None]:
    with engine.connect() as connection:
        if not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK_ID})").scalar_one():
            raise DatabaseError(f"{shown(engine.url)} is being restored by another process; wait for it")
        yield


def _state(engine: "Engine", sha256: str) -> State:
    with reading(engine) as connection:
        comment = connection.exec_driver_sql(_COMMENT).scalar()
    if comment == _MARK.format(state="restored", sha256=sha256):
        return "restored"
    if comment == _MARK.format(state="restoring", sha256=sha256):
        return "begun"
    if not _is_empty(engine):
        raise DatabaseError(
            f"{shown(engine.url)} is not empty; name another database, which is made if it is not there, and do not "
            "use it before"
        )
    return "empty"


def _is_empty(engine: "Engine") -> bool:
    with reading(engine) as connection:
        return int(connection.exec_driver_sql(_RELATIONS).scalar_one()) == 0


def _end_earlier(engine: "Engine") -> None:
    """End the pg_restore that a call which was killed left behind: its transaction holds what the next one makes.

    Raises DatabaseError if it does not end.
    """
    for _ in range(_TRIES):
        with reading(engine) as connection:
            if not connection.exec_driver_sql(_EARLIER).all():
                return
        time.sleep(_PAUSE)
    raise DatabaseError(f"a pg_restore still works on {shown(engine.url)} and does not end; end it")


def _mark(connection: "Connection", state: str, sha256: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote(connection.engine.url.database or "")
    connection.exec_driver_sql(f"COMMENT ON DATABASE {quoted} IS '{_MARK.format(state=state, sha256=sha256)}'")


def _settle(connection: "Connection", places: Places) -> None:
    from sqlalchemy import inspect

    tables = set(inspect(connection).get_table_names())
    for table in sorted(tables.intersection(PATHS)):
        connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")  # they refuse every change
        _move_paths(connection, table, PATHS[table], places)
        connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    if "leases" in tables:
        connection.exec_driver_sql("DELETE FROM leases")


def _move_paths(connection: "Connection", table: str, column: str, places: Places) -> None:
    from sqlalchemy import text

    listed = column == "packages"
    cast = f"CAST({column} AS text)"
    query = f"SELECT DISTINCT {cast} FROM {table}"  # noqa: S608 - constants
    change = f"UPDATE {table} SET {column} = CAST(:new AS {'json' if listed else 'text'}) WHERE {cast} = :old"  # noqa: S608 - constants
    for (old,) in connection.exec_driver_sql(query).all():
        new = places.paths(old) if listed else places.path(old)
        if new != old:
            connection.execute(text(change), {"new": new, "old": old})


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
