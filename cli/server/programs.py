"""The supervisor's programs: `python -m cli.server.programs NAME`, with the data directory of CRA_DATA_DIR."""

import os
import sys
import time
from pathlib import Path

from cli.local_engine import RECORDER_BATCHES, RETENTION
from cli.server.connection import (
    POOL,
    Connection,
    read_connection,
    server_directory,
    server_environment,
)
from cli.server.supervision import PROGRAMS, Program, terminate_with_supervisor
from host.offline import TELEMETRY
from host.postgres import serve
from host.private import private_directory, private_file
from host.settings import load_settings
from models.errors import CleanRoomError, DatabaseError, UsageError
from models.settings import Settings
from store.trigrams import has_trigrams

_NO_ORIGIN = "https://none.invalid"
"""An origin that no page can have. An empty list would mean all; the UI is of the server's own origin."""
_CRA = "import sys; sys.argv[0] = 'cra'; from cli.main import main; main()"


def server_variables(settings: Settings, connection: Connection) -> dict[str, str]:
    """The environment variables of the server itself."""
    directory = server_directory(settings)
    database = directory / "prefect.db"
    return {
        "PREFECT_HOME": str(directory / "engine"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": connection.engine_database or f"sqlite+aiosqlite:///{database}",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(connection.port),
        "PREFECT_SERVER_API_AUTH_STRING": connection.auth or "",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": _NO_ORIGIN,
        "PREFECT_SERVER_UI_API_URL": "/api",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        **RECORDER_BATCHES,
        **TELEMETRY,
        **RETENTION,
    }


def _environment() -> dict[str, str]:
    """Our environment; `python` imports nothing from the working directory."""
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


def _postgres(directory: Path) -> None:
    serve(directory / "postgres", directory)


def _server(settings: Settings, connection: Connection, directory: Path) -> None:
    if connection.engine_database is None:
        private_file(directory / "prefect.db")
    private_directory(directory / "engine")
    os.chdir(directory)  # no prefect.toml or .env of a working directory is read
    environment = {**_environment(), **server_variables(settings, connection)}
    options = [] if connection.engine_database is None or _has_trigrams(connection) else ["--without-trigrams"]
    os.execve(sys.executable, [sys.executable, "-P", "-m", "flows.server.app", *options], environment)  # noqa: S606


def _has_trigrams(connection: Connection) -> bool:
    """Whether the server's PostgreSQL has the extension that it uses, once that answers."""
    assert connection.engine_database is not None
    said = ""
    while True:
        try:
            return has_trigrams(connection.engine_database.replace("+asyncpg", "", 1).replace("?ssl=", "?sslmode="))
        except DatabaseError as error:
            if str(error) != said:
                print(said := str(error), file=sys.stderr, flush=True)
        time.sleep(1)


def _worker(settings: Settings, connection: Connection) -> None:
    environment = {**_environment(), **(server_environment(settings) or {})}
    arguments = ["worker", "--pool", POOL, "--limit", str(connection.limit)]
    os.execve(sys.executable, [sys.executable, "-P", "-c", _CRA, *arguments], environment)  # noqa: S606


def _sweeper(settings: Settings) -> None:
    os.environ |= server_environment(settings) or {}
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    from flows.server.sweeper import sweep_forever

    sweep_forever()


def main(name: str) -> None:
    """Become a program. Raises UsageError for an unknown name or when `cra up` has not been run."""
    if name not in PROGRAMS:
        raise UsageError(f"{name} is none of {', '.join(PROGRAMS)}")
    program: Program = name
    terminate_with_supervisor(program)
    if program == "postgres":
        return _postgres(server_directory(load_settings()))
    if (connection := read_connection(load_settings())) is None:
        raise UsageError("no server is noted here; run `cra up`")
    os.chdir(connection.directory)
    settings = load_settings()  # with the cra.toml of that directory
    if program == "server":
        return _server(settings, connection, server_directory(settings))
    return _worker(settings, connection) if program == "worker" else _sweeper(settings)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (CleanRoomError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
