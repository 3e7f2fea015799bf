"""Opens the databases: raw (append-only record of runs) and curated (what the pipeline reads).

A target is a path (SQLite) or a `postgresql://` URL (psycopg). Opening brings the schema to the newest
version. Errors of the database, then and later, come out as one-line DatabaseErrors that never show a
password. SQLAlchemy and alembic are imported on use, so that importing this module costs nothing.
"""

import logging
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from host.air_gap import refuse_database
from host.private import make_directory, private_file, tighten
from models.errors import DatabaseError

if TYPE_CHECKING:
    # What callers pass on to the store's functions, without importing SQLAlchemy themselves.
    from sqlalchemy import Connection as Connection
    from sqlalchemy import Engine as Engine
    from sqlalchemy.engine import URL, ExceptionContext

DatabaseKind = Literal["raw", "curated"]

HEADS: dict[DatabaseKind, str] = {"raw": "raw_0011", "curated": "curated_0006"}
"""The schema version that this code reads and writes. A test keeps it equal to the newest migration."""

READ_ONLY = "cra_read_only"
"""Execution option of a connection that only reads: on SQLite it then takes no write lock."""

BUSY_SECONDS = 30
AWAY_SECONDS = 300
"""How long a PostgreSQL server that was there may be away before what asks it fails."""
_CHUNK = 500
_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_ID = 0x0C1EA4
_REMEDIES = (
    ("not a database", "give another path, or move that file away"),
    ("full", "free some space; nothing stored is lost"),
    ("No space left", "free some space; nothing stored is lost"),
    ("disk I/O", "check that its disk has free space and no faults; nothing stored is lost"),
    ("readonly", "make the file and its directory writable"),
    ("unable to open", "check that its directory exists and is writable"),
    ("locked", f"another process has held the lock for over {BUSY_SECONDS} s; stop that process or try again"),
    ("onnection", "check that the server runs and that the URL, user and password are right"),
)


def open_database(target: str | Path, kind: DatabaseKind) -> "Engine":
    """An engine on a database whose schema is at the newest version; creates the SQLite file if there is
    none.

    Transactions on SQLite begin with the write lock (waiting up to 30 s for it) unless the connection has the
    execution option `READ_ONLY`. Raises DatabaseError when the database cannot be opened, is not one, is of
    another kind or program, or was written by a newer version; AirGapError for one on another machine in
    air-gapped mode.
    """
    from sqlalchemy.exc import SQLAlchemyError

    url = _url(target)
    engine = _sqlite_engine(url) if url.get_backend_name() == "sqlite" else _postgresql_engine(url)
    try:
        _bring_to_head(engine, kind)
    except SQLAlchemyError as error:
        engine.dispose()
        raise DatabaseError(f"database {shown(engine.url)}: {_first_line(error)}") from error
    except DatabaseError:
        engine.dispose()
        raise
    return engine


@contextmanager
def reading(engine: "Engine") -> Iterator["Connection"]:
    """A connection that sees one state of the database and takes no write lock."""
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        yield connection


def chunks(items: Collection[str]) -> Iterator[list[str]]:
    """The items in chunks that fit into one statement."""
    ordered = sorted(set(items))
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def shown(url: "URL") -> str:
    """A URL for display: without password and options; a path for SQLite."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return url.set(query={}, drivername="postgresql").render_as_string(hide_password=True)


def without_password(url: str) -> str:
    """A database URL with stars for its password; any other setting as it is."""
    if "://" not in url:
        return url
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)


def _url(target: str | Path) -> "URL":
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if isinstance(target, Path) or "://" not in target:
        return URL.create("sqlite", database=str(Path(target).absolute()))
    scheme = target.split("://", 1)[0]
    try:
        url = make_url(target)
    except (ArgumentError, ValueError):
        # `from None`: the cause may quote the password.
        raise DatabaseError(f"database URL {scheme}://... cannot be read; percent-encode user and password") from None
    if url.get_backend_name() in ("postgresql", "postgres"):
        refuse_database(url.host or "", url.query)
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database:
        return URL.create("sqlite", database=str(Path(url.database).absolute()))
    raise DatabaseError(f"database URL {scheme}://... is not supported; give a path or a postgresql:// URL")


def _sqlite_engine(url: "URL") -> "Engine":
    from sqlalchemy import create_engine, event

    path = Path(url.database or "")
    if path.is_dir():
        raise DatabaseError(f"database {path} is a directory; give the path of a file")
    try:
        make_directory(path.parent)
        path = path.resolve()
        private_file(path)  # the WAL and shared-memory files inherit its mode
        for suffix in ("-wal", "-shm", "-journal"):
            tighten(path.with_name(path.name + suffix))
    except OSError as error:
        raise DatabaseError(f"database {path}: {error.strerror}; give a path in a writable directory") from error
    engine = create_engine(url, max_overflow=-1, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "handle_error", _explain)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:  # an Any: the driver's own connection
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in ("foreign_keys=ON", "synchronous=NORMAL", "recursive_triggers=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: "Connection") -> None:
        reads = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _postgresql_engine(url: "URL") -> "Engine":
    from sqlalchemy import create_engine, event

    try:
        engine = create_engine(url, max_overflow=-1, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise DatabaseError(
            "PostgreSQL needs psycopg, which is not installed: run `uv sync --inexact --extra postgres`"
        ) from error
    event.listen(engine, "handle_error", _explain)
    event.listen(engine, "do_connect", _Reconnect(shown(url)))
    return engine


class _Reconnect:
    """Connects to PostgreSQL; after a first success it waits for a server that is away, up to `AWAY_SECONDS`.

    A first connection fails at once, for the URL may be wrong.
    """

    def __init__(self, name: str) -> None:
        self._name, self._connected = name, False

    def __call__(self, dialect: Any, record: Any, arguments: Any, options: Any) -> Any:  # SQLAlchemy's and the driver's
        deadline, wait = time.monotonic() + (AWAY_SECONDS if self._connected else 0), 0.1
        while True:
            try:
                connection = dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError as error:
                if time.monotonic() + wait > deadline:
                    raise
                logging.getLogger(__name__).warning("database %s is away: %s", self._name, _first_line(error))
                time.sleep(wait)
                wait = min(2 * wait, 5.0)
            else:
                self._connected = True
                return connection


def _explain(context: "ExceptionContext") -> None:
    url = context.engine.url if context.engine is not None else None
    where = f"database {shown(url)}" if url is not None else "database"
    message = _first_line(context.original_exception)
    remedy = next((remedy for mark, remedy in _REMEDIES if mark in message), "")
    raise DatabaseError(f"{where}: {message}" + (f"; {remedy}" if remedy else "")) from context.original_exception


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _bring_to_head(engine: "Engine", kind: DatabaseKind) -> None:
    with reading(engine) as connection:
        if _version(connection, kind) == HEADS[kind]:
            return
    if engine.dialect.name == "sqlite":
        _use_wal(engine)
    with engine.begin() as connection:  # on SQLite this holds the write lock until the schema is up to date
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_ID})")
        version = _version(connection, kind)
        if version != HEADS[kind]:
            _migrate(connection, kind, version)


def _version(connection: "Connection", kind: DatabaseKind) -> str | None:
    """The schema version, None in a new database. Refuses a SQLite file of another kind or program."""
    from sqlalchemy import inspect

    tables = set(inspect(connection).get_table_names())
    table = version_table(kind)
    if table in tables:
        return connection.exec_driver_sql(f"SELECT version_num FROM {table}").scalar()  # noqa: S608 - a constant
    if tables and connection.dialect.name == "sqlite":
        others = [other for other in HEADS if version_table(other) in tables]
        owner = f"the {others[0]} database" if others else "another program's tables"
        raise DatabaseError(f"{shown(connection.engine.url)} holds {owner}; give another path for {kind}")
    return None


def version_table(kind: DatabaseKind) -> str:
    """The table that holds the schema version; raw and curated can therefore share one PostgreSQL database."""
    return f"{kind}_schema_version"


def _use_wal(engine: "Engine") -> None:
    """Turn on write-ahead logging, which is persistent.

    SQLite reports "locked" at once here, regardless of the time-out.
    """
    import sqlite3

    deadline = time.monotonic() + BUSY_SECONDS
    connection = engine.raw_connection()
    try:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise DatabaseError(f"database {shown(engine.url)}: {_first_line(error)}") from error
                time.sleep(0.02)
    finally:
        connection.close()


def _migrate(connection: "Connection", kind: DatabaseKind, version: str | None) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(kind)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise DatabaseError(
            f"{shown(connection.engine.url)} has schema {version}, newer than {HEADS[kind]}; upgrade clean-room-agent"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config(kind: DatabaseKind) -> Any:
    """alembic's configuration for one kind of database (`alembic.config.Config`; nothing is read from a
    file)."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(_MIGRATIONS / kind).replace("%", "%%"))
    config.attributes["version_table"] = version_table(kind)
    return config
