"""Databases as an operator sees them: version, size and clock; new ones on a PostgreSQL server; copies for a backup."""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from host.private import private_file
from models.errors import DatabaseError
from store.database import DatabaseKind, _explain, _postgresql_engine, _url, reading, shown, version_table

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Engine

MOST_SKEW = 60.0
"""Seconds that a machine's clock may differ from the database's or the server's before it is warned of."""
_CHECK_SECONDS = 5


class DatabaseFacts(NamedTuple):
    """What is known of a database. `skew` are the seconds that this machine's clock is ahead of the server's."""

    where: str
    schema: str | None
    size: int
    skew: float


def database_facts(target: str, kind: DatabaseKind) -> DatabaseFacts:
    """The facts of a database, which is neither created nor migrated: its schema is None if it is new.

    Raises DatabaseError when it cannot be reached within seconds.
    """
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    url = _url(target)
    path = Path(url.database or "")
    if url.get_backend_name() == "sqlite" and not path.is_file():
        return DatabaseFacts(str(path), None, 0, 0.0)
    engine = short_lived_engine(target)
    try:
        with reading(engine) as connection:
            known = version_table(kind) in inspect(connection).get_table_names()
            query = f"SELECT version_num FROM {version_table(kind)}"  # noqa: S608 - a constant
            schema = connection.exec_driver_sql(query).scalar() if known else None
            if url.get_backend_name() == "sqlite":
                size, skew = path.stat().st_size, 0.0
            else:
                size = int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
                before = time.time()
                clock = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one()
                skew = (before + time.time()) / 2 - float(clock)
    except SQLAlchemyError as error:
        raise DatabaseError(f"database {shown(url)}: {error}".splitlines()[0]) from error
    finally:
        engine.dispose()
    return DatabaseFacts(shown(url), schema, size, skew)


def short_lived_engine(target: str) -> "Engine":
    """An engine for a question: nothing is made or migrated, and a server that is away is given up within seconds."""
    from sqlalchemy import create_engine, event

    url = _url(target)
    sqlite = url.get_backend_name() == "sqlite"
    try:
        engine = create_engine(url, connect_args={} if sqlite else {"connect_timeout": _CHECK_SECONDS})
    except ModuleNotFoundError as error:
        raise DatabaseError("PostgreSQL needs psycopg; install clean-room-agent[postgres]") from error
    event.listen(engine, "handle_error", _explain)
    return engine


def create_databases(server: str, names: list[str]) -> list[str]:
    """Create those databases that a PostgreSQL server has not; returns their names.

    `server` is the URL of any database there. Raises DatabaseError when it cannot be reached or does not allow it.
    """
    engine = _postgresql_engine(_url(server))
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            there = set(connection.exec_driver_sql("SELECT datname FROM pg_database").scalars())
            missing = [name for name in names if name not in there]
            for name in missing:
                connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
            return missing
    finally:
        engine.dispose()


def database_on(server: str, name: str) -> str:
    """URL of a database on a PostgreSQL server, given the URL of any there. Raises DatabaseError for another URL."""
    url = _url(server)
    if url.get_backend_name() != "postgresql":
        raise DatabaseError(f"{shown(url)} is no PostgreSQL server; give postgresql://USER@HOST/")
    return url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)


def asynchronous(url: str) -> str:
    """The URL of a PostgreSQL database as asyncpg takes it, which calls `sslmode` `ssl`."""
    read = _url(url)
    query = {("ssl" if key == "sslmode" else key): value for key, value in read.query.items()}
    return read.set(drivername="postgresql+asyncpg", query=query).render_as_string(hide_password=False)


def password_apart(url: str) -> tuple[str, str | None]:
    """A PostgreSQL URL without its password, and the password: for programs, whose arguments others can see."""
    read = _url(url).set(drivername="postgresql")
    said = read.query.get("password", read.password)
    bare = read.difference_update_query(["password"])._replace(password=None)
    return bare.render_as_string(hide_password=False), said if said is None else str(said)


def is_postgresql(target: str) -> bool:
    """Whether a database is on a PostgreSQL server. Raises DatabaseError for a URL that is not supported."""
    return _url(target).get_backend_name() == "postgresql"


def sqlite_file(target: str) -> Path:
    """The file of a SQLite database."""
    return Path(_url(target).database or "")


def copy_sqlite(source: Path, copy: Path) -> int:
    """Copy a SQLite database, also while others write it; the copy is one state of it. Returns its size in bytes.

    Raises DatabaseError if either file cannot be used.
    """
    import sqlite3

    private_file(copy)
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
            contextlib.closing(sqlite3.connect(copy)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise DatabaseError(f"{source} cannot be copied to {copy}: {error}") from error
    return copy.stat().st_size


class Compaction(NamedTuple):
    """A SQLite database after its upkeep: bytes before and after, its write-ahead log included; whether it was
    rewritten (VACUUM), or why not."""

    before: int
    after: int
    rewritten: bool
    note: str = ""


def compact_sqlite(path: Path, unused_share: float) -> Compaction:
    """Move the write-ahead log of a SQLite database into it, and rewrite it if at least this share of its pages is
    unused and the disk has room for a copy.

    Others may use it; while one writes, it is left as it is. Raises DatabaseError if the file cannot be used.
    """
    import shutil
    import sqlite3

    before = sqlite_size(path)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_CHECK_SECONDS, isolation_level=None)) as connection:
            unused, pages = (
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count")
            )
            note, rewritten = "", False
            if pages and unused / pages >= unused_share:
                if shutil.disk_usage(path.parent).free < 2 * before:
                    note = f"the disk has no room for a copy of {before} bytes"
                else:
                    note, rewritten = _rewritten(connection)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise DatabaseError(f"{path} cannot be compacted: {error}") from error
        return Compaction(before, sqlite_size(path), False, "another process writes it")
    except sqlite3.Error as error:
        raise DatabaseError(f"{path} cannot be compacted: {error}") from error
    return Compaction(before, sqlite_size(path), rewritten, note)


def _rewritten(connection: "sqlite3.Connection") -> tuple[str, bool]:
    import sqlite3

    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        return str(error), False
    return "", True


def sqlite_size(path: Path) -> int:
    """Bytes of a SQLite database with its write-ahead log; 0 if there is none."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.is_file())
