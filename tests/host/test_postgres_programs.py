"""PostgreSQL from the wheel: a data directory of our own, a server on a socket, a refusal of other versions."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.postgres import USER, check_data_directory, initialise, run_program, socket_answers
from models.errors import InfrastructureError, UsageError
from store.upkeep import create_databases, database_facts, database_on

pytestmark = pytest.mark.slow

SERVE = """
import sys
from pathlib import Path
from host.postgres import serve
serve(Path(sys.argv[1]) / "postgres", Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a server that runs, whose password is `secret`."""
    directory = tmp_path_factory.mktemp("pg")
    initialise(directory / "postgres", "secret")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(directory)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not socket_answers(directory):
        assert server.poll() is None
        time.sleep(0.1)
    yield directory
    server.send_signal(signal.SIGINT)
    assert server.wait(60) == 0


def test_the_server_answers_on_its_socket_to_its_password_only(directory: Path) -> None:
    import psycopg

    url = f"postgresql://{USER}:secret@/postgres?host={directory}"
    assert create_databases(url, ["one", "two"]) == ["one", "two"]
    assert create_databases(url, ["two", "three"]) == ["three"]
    assert database_facts(database_on(url, "two"), "raw").schema is None
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://{USER}:other@/postgres?host={directory}")
    ports = Path("/proc/net/tcp").read_text().split()
    assert not any(each.endswith(":1538") for each in ports)  # 5432: nothing listens on a port


def test_the_directory_and_its_files_are_private_and_no_password_is_left(directory: Path) -> None:
    assert (directory / "postgres").stat().st_mode & 0o077 == 0
    assert not (directory / "postgres.pw").exists()
    assert b"secret" not in (directory / "postgres" / "postmaster.opts").read_bytes()


def test_a_directory_of_another_major_version_is_refused_by_name(tmp_path: Path) -> None:
    assert not check_data_directory(tmp_path)
    (tmp_path / "PG_VERSION").write_text("16\n")
    with pytest.raises(UsageError, match=f"{tmp_path}.* 16"):
        check_data_directory(tmp_path)


def test_a_program_that_fails_gives_its_last_line() -> None:
    with pytest.raises(InfrastructureError, match="pg_dump ended with 1"):
        run_program("pg_dump", ["-d", "postgresql:///x?host=/nowhere"])
