"""Databases of a PostgreSQL server travel as dumps, and are restored into empty ones by one command."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from exchange.bundle.restore import restore_dumps
from host.postgres import run_program
from models.errors import DatabaseError, UsageError
from models.settings import Settings
from store.database import open_database, reading
from store.learning.adapters import list_adapters
from store.leases import take
from store.restoring import Origin, restore_postgresql
from store.runs import open_raw_store
from store.upkeep import database_on
from tests.support.bundle_home import Machine, lay_out, make_machine
from tests.support.commands import invoke
from tests.support.registry_material import fresh, make_base
from training.adapters.registry import Registry


@pytest.fixture
def machine(tmp_path: Path, postgres_url: str) -> Machine:
    """A machine whose databases are one of PostgreSQL: an adapter that serves, a campaign, a lease."""
    made = make_machine(tmp_path / "home")
    data = made.settings.data_dir
    for name in ("bases", "adapters"):
        _remove(data / name)
    for kind in ("raw", "curated"):
        (data / f"{kind}.sqlite").unlink()
    store = open_raw_store(postgres_url)
    campaign = store.register_campaign({"planners": ["gold"]})
    store.start_run(campaign, "first", "f", [data / "corpus" / "little", tmp_path / "elsewhere" / "other"])
    with store.engine.begin() as connection:
        assert take(connection, ["one"]) == {"one"}
    registry = Registry(open_database(postgres_url, "curated"), data)
    make_base(registry._curated, data / "bases")
    registry.promote(fresh(registry, tmp_path / "home", 1.0), override="the first")
    settings = made.settings.model_copy(update={"raw_database": postgres_url, "curated_database": postgres_url})
    return Machine(made.checkout, settings)


def _remove(folder: Path) -> None:
    for each in (folder, *folder.rglob("*")):
        each.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def prefix(machine: Machine, tmp_path: Path) -> Path:
    """The bundle's files, laid below a prefix on the other machine."""
    made = machine.make(tmp_path / "bundle")
    assert {path for path in made.manifest.files if path.startswith("databases/")} == {
        "databases/origin.json", "databases/raw-curated.dump",
    }  # fmt: skip
    lay_out(tmp_path / "bundle", tmp_path / "prefix")
    return tmp_path / "prefix"


def _there(prefix: Path, url: str) -> Settings:
    return Settings(data_dir=prefix / "data", raw_database=url, curated_database=url)


def _check(url: str, prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are there, and their paths are those of the other machine."""
    monkeypatch.setenv("CRA_DATA_DIR", str(prefix / "data"))
    curated = open_database(url, "curated")
    [adapter] = list_adapters(curated)
    assert adapter.active
    assert adapter.path.is_dir()
    assert adapter.path.is_relative_to(prefix / "data" / "adapters")
    Registry(curated, prefix / "data").verify(adapter.name)
    store = open_raw_store(url)
    corpus = prefix / "data" / "corpus"
    assert store.package_directories("first") == [corpus / "little", tmp_path / "elsewhere" / "other"]
    with reading(store.engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM leases").scalar_one() == 0
    with pytest.raises(DatabaseError, match="append-only"), store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE campaign_runs SET name = 'other'")


def test_a_dump_becomes_a_database_that_the_new_data_directory_fits(
    prefix: Path, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = database_on(postgres_url, f"{_name(postgres_url)}_new")
    variables = {"CRA_RAW_DATABASE": url, "CRA_CURATED_DATABASE": url, "CRA_DATA_DIR": str(prefix / "data")}
    done = invoke("bundle", "restore", prefix / "databases", "--json", cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert [each["before"] for each in json.loads(done.stdout)] == [False]
    _check(url, prefix, tmp_path, monkeypatch)
    assert [each.before for each in restore_dumps(_there(prefix, url), prefix / "databases")] == [True]


def test_a_database_that_is_not_empty_and_settings_that_do_not_fit_are_refused(prefix: Path, postgres_url: str) -> None:
    server, dumps = postgres_url, prefix / "databases"
    used = _created(server, "used")
    with psycopg.connect(used) as connection:
        connection.execute("CREATE TABLE mine (id int)")
    with pytest.raises(DatabaseError, match="is not empty"):
        restore_dumps(_there(prefix, used), dumps)
    with psycopg.connect(used) as connection:
        tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        assert connection.execute(tables).fetchall() == [("mine",)]
    with pytest.raises(UsageError, match="CRA_RAW_DATABASE"):
        restore_dumps(Settings(data_dir=prefix / "data"), dumps)
    two = _there(prefix, _created(server, "a")).model_copy(update={"raw_database": _created(server, "b")})
    with pytest.raises(UsageError, match="holds both"):
        restore_dumps(two, dumps)
    shutil.copyfile(dumps / "raw-curated.dump", dumps / "raw.dump")
    (dumps / "raw-curated.dump").rename(dumps / "curated.dump")
    with pytest.raises(UsageError, match="name two"):
        restore_dumps(_there(prefix, _created(server, "c")), dumps)
    with pytest.raises(UsageError, match="no dump"):
        restore_dumps(_there(prefix, used), prefix / "data")
    with pytest.raises(UsageError, match="no folder"):
        restore_dumps(_there(prefix, used), prefix / "elsewhere")


def test_a_restoration_that_was_killed_goes_on_to_the_same_end(
    prefix: Path, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps = prefix / "databases"
    for moment in ("begun", "restored by pg_restore"):  # what each leaves behind
        url = _created(postgres_url, moment.split()[0])
        with psycopg.connect(url, autocommit=True) as connection:
            mark = f"clean-room: restoring {_sha256(dumps / 'raw-curated.dump')}"
            connection.execute(f"COMMENT ON DATABASE {_name(url)} IS '{mark}'".encode())
        if moment != "begun":
            options = ["--no-owner", "--single-transaction", "-d", url]
            run_program("pg_restore", [*options, str(dumps / "raw-curated.dump")])
        assert [each.before for each in restore_dumps(_there(prefix, url), dumps)] == [False]
        _check(url, prefix, tmp_path, monkeypatch)
    url = _created(postgres_url, "killed")
    argv = [sys.executable, "-m", "tests.exchange.test_bundle_restored", url, str(dumps)]
    for hundredths in (30, 60, 90, 120):
        with subprocess.Popen(argv) as process:
            try:
                process.wait(hundredths / 100)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    restore_dumps(_there(prefix, url), dumps)
    _check(url, prefix, tmp_path, monkeypatch)


def test_a_pg_restore_that_a_killed_call_left_does_not_hold_up_the_next_one(
    prefix: Path, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps, url = prefix / "databases", _created(postgres_url, "left")
    with psycopg.connect(url, autocommit=True) as connection:
        mark = f"clean-room: restoring {_sha256(dumps / 'raw-curated.dump')}"
        connection.execute(f"COMMENT ON DATABASE {_name(url)} IS '{mark}'".encode())
    left = psycopg.connect(url, application_name="pg_restore")
    left.execute("CREATE TABLE campaigns (id int)")
    assert [each.before for each in restore_dumps(_there(prefix, url), dumps)] == [False]
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
    left.close()
    _check(url, prefix, tmp_path, monkeypatch)


def _name(url: str) -> str:
    return url.split("?")[0].rpartition("/")[2]


def _created(url: str, name: str) -> str:
    """A further empty database on the same server."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_name(url)}_{name}".encode())
    return database_on(url, f"{_name(url)}_{name}")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    restore_postgresql(
        sys.argv[1], folder / "raw-curated.dump", Origin(**json.loads((folder / "origin.json").read_text()))
    )
