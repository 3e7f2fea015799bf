"""Opening databases: schema, guards, and errors a user can act on."""

import multiprocessing
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from models.errors import DatabaseError
from store.database import HEADS, DatabaseKind, alembic_config, open_database, version_table
from store.tables import CuratedTable, RawTable

METADATA = {"raw": RawTable.metadata, "curated": CuratedTable.metadata}
KINDS: list[DatabaseKind] = ["raw", "curated"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_migrations_make_exactly_the_schema_that_the_tables_declare(
    database_target: str, kind: DatabaseKind
) -> None:
    with open_database(database_target, kind).connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": version_table(kind), "compare_type": True}
        )
        assert compare_metadata(context, METADATA[kind]) == []
        assert set(inspect(connection).get_table_names()) == {*METADATA[kind].tables, version_table(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_declared_head_is_the_newest_migration(kind: DatabaseKind) -> None:
    assert ScriptDirectory.from_config(alembic_config(kind)).get_heads() == [HEADS[kind]]


def test_raw_and_curated_can_share_a_postgresql_database(postgres_url: str) -> None:
    open_database(postgres_url, "raw").dispose()
    tables = inspect(open_database(postgres_url, "curated")).get_table_names()
    assert {"task_runs", "adapter_metadata"} <= set(tables)


def test_sqlite_runs_with_wal_foreign_keys_and_a_patient_lock(tmp_path: Path) -> None:
    with open_database(tmp_path / "raw.db", "raw").connect() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert values == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}


def _open(target: str) -> str:
    with open_database(target, "raw").connect() as connection:
        return str(connection.exec_driver_sql("SELECT version_num FROM raw_schema_version").scalar())


@pytest.mark.slow
def test_processes_that_open_a_new_database_at_once_migrate_it_once(database_target: str) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(_open, [database_target] * 6, chunksize=1) == [HEADS["raw"]] * 6


def test_a_migration_that_is_cut_short_leaves_nothing_behind(
    database_target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", cut)
        with pytest.raises(KeyboardInterrupt):
            open_database(database_target, "raw")
    assert _open(database_target) == HEADS["raw"]


def test_a_newer_schema_is_refused_with_the_remedy(database_target: str) -> None:
    with open_database(database_target, "raw").begin() as connection:
        connection.execute(text("UPDATE raw_schema_version SET version_num = 'raw_9999'"))
    with pytest.raises(DatabaseError, match=rf"raw_9999, newer than {HEADS['raw']}; upgrade clean-room-agent"):
        open_database(database_target, "raw")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, just notes\n" * 100)
    with pytest.raises(DatabaseError, match=r"notes\.txt: file is not a database; give another path"):
        open_database(path, "raw")
    assert path.read_text().startswith("not a database")


def test_a_database_of_another_program_or_kind_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(DatabaseError, match="holds another program's tables"):
        open_database(tmp_path / "other.db", "raw")
    open_database(tmp_path / "curated.db", "curated")
    with pytest.raises(DatabaseError, match="holds the curated database"):
        open_database(tmp_path / "curated.db", "raw")


def test_a_directory_and_an_impossible_parent_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="is a directory"):
        open_database(tmp_path, "raw")
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match="give a path in a writable directory"):
        open_database(tmp_path / "file" / "raw.db", "raw")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://me:hunter2@127.0.0.1:1/db?password=hunter2", "check that the server runs"),
        ("postgresql://me:hunter2@host:po/rt:hunter2", "cannot be read"),
        ("mysql://me:hunter2@host/db", "is not supported"),
    ],
)
def test_errors_are_one_line_and_never_show_the_password(url: str, says: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        open_database(url, "raw")
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_full_disk_and_a_read_only_file_are_one_line_errors(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "raw.db", "raw")
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        with pytest.raises(DatabaseError, match="disk is full; free some space"):
            connection.execute(
                text("INSERT INTO blobs (sha256, codec, size, data) VALUES ('x', 'raw', 1, zeroblob(100000))")
            )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
        with pytest.raises(DatabaseError, match="readonly database; make the file"):
            connection.execute(text("INSERT INTO campaigns (id, config, created_at) VALUES ('x', '{}', '2026-01-01')"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_write_permission_is_a_one_line_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DatabaseError, match="unable to open"):
        open_database(tmp_path / "raw.db", "raw")


def test_importing_the_module_loads_no_database_library() -> None:
    code = "import sys, store.database; print({'sqlalchemy', 'alembic', 'sqlmodel'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
