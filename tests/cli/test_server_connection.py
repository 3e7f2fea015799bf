"""How commands find the server: a private note, unless the environment names another server."""

from pathlib import Path

import pytest

from cli.server.connection import (
    Connection,
    embedded_urls,
    read_connection,
    server_directory,
    server_environment,
    write_connection,
)
from models.errors import UsageError
from models.settings import Settings

HERE = "postgresql://clean_room@/clean_room?host=/x&passfile=/x/pgpass"


@pytest.fixture(autouse=True)
def no_server_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without a server."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)


def noted(short_path: Path, **changed: object) -> Settings:
    settings = Settings(data_dir=short_path / "data")
    made = {"url": "http://127.0.0.1:4999/api", "auth": "cra:secret", "directory": short_path, **changed}
    write_connection(settings, Connection.model_validate(made))
    return settings


def test_without_a_note_there_is_no_server(short_path: Path) -> None:
    assert server_environment(Settings(data_dir=short_path)) is None
    assert not (short_path / "server").exists()


def test_the_note_gives_address_password_and_databases(short_path: Path) -> None:
    found = server_environment(noted(short_path, database=HERE))
    assert found is not None
    assert (found["PREFECT_API_URL"], found["PREFECT_API_AUTH_STRING"]) == ("http://127.0.0.1:4999/api", "cra:secret")
    assert (found["CRA_RAW_DATABASE"], found["CRA_CURATED_DATABASE"]) == (HERE, HERE)
    assert found["PREFECT_HOME"].startswith(str(short_path))


def test_databases_that_the_settings_name_stay(short_path: Path) -> None:
    settings = noted(short_path, database=HERE).model_copy(update={"raw_database": "postgresql://other/raw"})
    found = server_environment(settings)
    assert found is not None
    assert "CRA_RAW_DATABASE" not in found
    assert found["CRA_CURATED_DATABASE"] == HERE


def test_a_server_that_the_environment_names_wins(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = noted(short_path, database=HERE)
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    assert server_environment(settings) == {"PREFECT_API_URL": "http://elsewhere/api"}


def test_all_files_are_private_and_a_damaged_note_is_refused_without_what_it_holds(short_path: Path) -> None:
    settings = noted(short_path)
    server, ours = embedded_urls(server_directory(settings), "word")
    assert "word" in server
    assert "word" not in ours
    files = list((short_path / "data").rglob("*"))
    assert len(files) >= 4
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    note = server_directory(settings) / "connection.json"
    note.write_text(note.read_text().replace("http", "htt")[:-20])
    with pytest.raises(UsageError) as error:
        read_connection(settings)
    assert str(note) in str(error.value)
    assert "secret" not in str(error.value)


def test_a_path_too_long_for_a_socket_is_refused(short_path: Path) -> None:
    with pytest.raises(UsageError, match="CRA_DATA_DIR"):
        server_directory(Settings(data_dir=short_path / ("x" * 100)))
