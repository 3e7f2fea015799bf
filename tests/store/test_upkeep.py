"""Databases as an operator sees them, on both kinds of server."""

import sqlite3
import time
from pathlib import Path

import pytest

from models.errors import DatabaseError
from store import upkeep
from store.database import HEADS, open_database
from store.trigrams import without_trigrams
from store.upkeep import (
    asynchronous,
    compact_sqlite,
    copy_sqlite,
    database_facts,
    database_on,
    password_apart,
    sqlite_file,
    sqlite_size,
)


def test_facts_of_a_new_database_leave_it_as_it_was_and_then_give_its_schema(database_target: str) -> None:
    new = database_facts(database_target, "raw")
    assert (new.schema, abs(new.skew) < 60) == (None, True)
    if "://" not in database_target:
        assert not Path(database_target).exists()
    open_database(database_target, "raw").dispose()
    known = database_facts(database_target, "raw")
    assert known.schema == HEADS["raw"]
    assert known.size > new.size


def test_a_clock_an_hour_off_is_seen_on_postgresql(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(upkeep.time, "time", lambda: real() + 3600)
    assert 3590 < database_facts(postgres_url, "raw").skew < 3610


def test_a_server_that_is_away_is_said_without_its_password() -> None:
    with pytest.raises(DatabaseError) as error:
        database_facts("postgresql://me:hidden@127.0.0.1:9/x", "raw")
    assert "127.0.0.1:9" in str(error.value)
    assert "hidden" not in str(error.value)


def test_a_copy_of_sqlite_is_one_state_while_another_process_writes(tmp_path: Path) -> None:
    source = tmp_path / "raw.sqlite"
    engine = open_database(source, "raw")
    writer = sqlite3.connect(source)
    writer.execute("CREATE TABLE mine (x)")
    writer.execute("INSERT INTO mine VALUES (1)")
    writer.commit()
    writer.execute("INSERT INTO mine VALUES (2)")  # not committed yet
    assert copy_sqlite(source, tmp_path / "copy.sqlite") > 0
    writer.commit()
    copied = sqlite3.connect(tmp_path / "copy.sqlite")
    assert copied.execute("SELECT x FROM mine").fetchall() == [(1,)]
    assert copied.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert (tmp_path / "copy.sqlite").stat().st_mode & 0o077 == 0
    for connection in (writer, copied):
        connection.close()
    engine.dispose()
    with pytest.raises(DatabaseError, match="cannot be copied"):
        copy_sqlite(tmp_path / "missing.sqlite", tmp_path / "other.sqlite")


def test_urls_for_the_engine_and_for_programs() -> None:
    url = "postgresql://me:pass%2Fword@host:5433/postgres?sslmode=require"
    assert asynchronous(database_on(url, "prefect")) == (
        "postgresql+asyncpg://me:pass%2Fword@host:5433/prefect?ssl=require"
    )
    bare = "postgresql://me@host:5433/postgres?sslmode=require"
    assert password_apart(url) == (bare, "pass/word")
    assert password_apart(f"{bare}&password=pass%2Fword") == (bare, "pass/word")
    assert sqlite_file("sqlite:////a/b.sqlite") == Path("/a/b.sqlite")
    with pytest.raises(DatabaseError, match="PostgreSQL"):
        database_on("sqlite:////a/b.sqlite", "prefect")


@pytest.mark.parametrize(
    ("statement", "left_out"),
    [
        ("CREATE EXTENSION IF NOT EXISTS pg_trgm;", True),
        ("\n CREATE INDEX CONCURRENTLY\n trgm_ix_flow_name\n ON flow USING gin (name gin_trgm_ops);", True),
        ("DROP INDEX CONCURRENTLY trgm_ix_flow_name;", True),
        ("CREATE INDEX ix_flow_name ON flow (name)", False),
        ("SELECT 'gin_trgm_ops'", False),
        ("INSERT INTO flow (name) VALUES ('trgm_ix_flow_name')", False),
    ],
)
def test_only_what_makes_or_drops_trigram_indexes_is_left_out(statement: str, left_out: bool) -> None:
    assert (without_trigrams(statement) == "SELECT 1") is left_out
    assert left_out or without_trigrams(statement) == statement


def filled(path: Path, rows: int) -> None:
    """A database in WAL mode with rows of 1 KB."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x BLOB)")
        connection.executemany("INSERT INTO t VALUES (?)", [(b"x" * 1000,)] * rows)
    connection.close()


def test_a_database_is_rewritten_where_enough_of_it_is_unused(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    filled(path, 1000)
    full = compact_sqlite(path, 0.25)
    assert (full.rewritten, full.note) == (False, "")
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM t WHERE rowid > 100")
    connection.close()
    done = compact_sqlite(path, 0.25)
    assert done.rewritten and done.after < 300_000 < done.before
    assert sqlite_size(path) == done.after
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (100,)


def test_a_database_that_another_process_writes_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "db.sqlite"
    filled(path, 500)
    monkeypatch.setattr(upkeep, "_CHECK_SECONDS", 0.1)
    with sqlite3.connect(path) as writer:
        writer.execute("DELETE FROM t")
        writer.commit()
        writer.execute("BEGIN IMMEDIATE")
        done = compact_sqlite(path, 0.25)
        assert not done.rewritten and done.note
        writer.execute("ROLLBACK")
    writer.close()
    assert compact_sqlite(path, 0.25).rewritten


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(DatabaseError, match=str(path)):
        compact_sqlite(path, 0.25)
