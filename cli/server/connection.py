"""How commands find the server: a private file under the data directory, unless PREFECT_API_URL names another server.

`cra up` writes the file. It holds the address and password of the server and of the databases.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from cli.local_engine import NAMED
from host.air_gap import refuse_address
from host.offline import TELEMETRY
from host.postgres import SOCKET, USER
from host.private import private_directory, private_file
from models.errors import InfrastructureError, UsageError
from models.plans import Frozen
from models.settings import Settings

POOL = "clean-room"
HEARTBEAT_SECONDS = 30
"""The engine's minimum. After three silent intervals a flow run counts as dead."""
_FILE = "connection.json"
_PASSWORDS = "pgpass"
_LONGEST_SOCKET = 107 - len(".12345678")
"""Bytes of a Unix socket's path, less what the supervisor appends while it makes one."""

StoreKind = Literal["sqlite", "embedded", "postgres"]


class Connection(Frozen):
    """A server, as `cra up` made or found it."""

    url: str = Field(description="address of its API")
    auth: str | None = Field(None, description="user and password of its API")
    own: bool = Field(True, description="whether `cra up` started it; it only added to another one")
    store: StoreKind = "sqlite"
    engine_database: str | None = Field(None, description="URL of the server's own database; SQLite if unset")
    database: str | None = Field(
        None, description="URL of the raw and curated databases; those of the settings if unset"
    )
    directory: Path = Field(description="where `cra up` was run: the worker reads cra.toml there")
    limit: int = Field(1, description="flow runs at a time of the worker that it started")

    def is_at(self, url: str) -> bool:
        """Whether an address is this server's, as `cra up` started it."""
        return self.own and url.rstrip("/") == self.url

    @property
    def port(self) -> int | None:
        """Port of its API, if the address has one."""
        return urlsplit(self.url).port

    @property
    def page(self) -> str:
        """Address of the UI."""
        return self.url.removesuffix("/api")


def server_directory(settings: Settings) -> Path:
    """The private directory of the server's files. Raises UsageError if its path is too long for sockets in it."""
    directory = settings.data_dir.absolute() / "server"
    if (
        len(os.fsencode(directory / SOCKET)) > _LONGEST_SOCKET
        or len(os.fsencode(directory / "supervisor.sock")) > _LONGEST_SOCKET
    ):
        raise UsageError(f"{directory} is too long a path for a socket in it; set CRA_DATA_DIR to a shorter one")
    return private_directory(directory)


def read_connection(settings: Settings) -> Connection | None:
    """The server that `cra up` noted under the data directory, if it did. Raises UsageError if the note is damaged."""
    path = settings.data_dir.absolute() / "server" / _FILE
    try:
        return Connection.model_validate_json(path.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError:
        raise UsageError(f"{path} is damaged; run `cra down`, delete it, and run `cra up`") from None  # holds passwords


def write_connection(settings: Settings, connection: Connection) -> None:
    """Note a server for later commands, readable by this user only."""
    path = server_directory(settings) / _FILE
    fresh = path.with_suffix(".new")
    private_file(fresh)
    fresh.write_text(connection.model_dump_json(indent=2))
    fresh.replace(path)
    if connection.own and connection.auth:
        password = path.with_name("password")
        private_file(password)
        password.write_text(connection.auth + "\n")


def embedded_urls(directory: Path, password: str) -> tuple[str, str]:
    """URLs of the embedded PostgreSQL: any database with its password, and ours with a file that holds it."""
    passwords = directory / _PASSWORDS
    private_file(passwords)
    passwords.write_text(f"*:*:*:{USER}:{password}\n")
    where = f"host={directory}"
    return (
        f"postgresql://{USER}:{password}@/postgres?{where}",
        f"postgresql://{USER}@/clean_room?{where}&passfile={passwords}",
    )


def server_environment(settings: Settings) -> dict[str, str] | None:
    """Environment variables with which a process of this machine talks to the server; None if there is none.

    A server named by PREFECT_API_URL wins, with the user's own settings. With the one of `cra up` come the databases
    that its workers use, unless the settings name others. Whether it runs is not asked.
    """
    connection = read_connection(settings)
    named = os.environ.get(NAMED)
    if named and (connection is None or not connection.is_at(named)):
        refuse_address(f"the server that {NAMED} names", named)
        auth = os.environ.get("PREFECT_API_AUTH_STRING")
        return {NAMED: named, **({"PREFECT_API_AUTH_STRING": auth} if auth else {})}
    if connection is None:
        return None
    refuse_address("the server that `cra up` found", connection.url)
    home = settings.data_dir.absolute() / "server" / "engine"
    return {
        NAMED: connection.url,
        **({"PREFECT_API_AUTH_STRING": connection.auth} if connection.auth else {}),
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "results"),
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        **TELEMETRY,
        **database_variables(settings, connection),
    }


def database_variables(settings: Settings, connection: Connection) -> dict[str, str]:
    """The variables that point to the databases of the server's workers, where the settings do not name others."""
    if connection.database is None:
        return {}
    return {
        f"CRA_{name.upper()}": connection.database
        for name in ("raw_database", "curated_database")
        if getattr(settings, name) is None
    }


@contextlib.contextmanager
def server_client_settings(settings: Settings, defaults: Mapping[str, str] | None = None) -> Iterator[None]:
    """Within this context, the engine's clients of this process talk to the server.

    `defaults` are further variables, for where nothing else sets them. Raises UsageError if there is no server.
    """
    wanted = server_environment(settings)
    if wanted is None:
        raise UsageError("there is no server; start one with `cra up`, or name one by PREFECT_API_URL")
    before = dict(os.environ)
    if os.environ.get(NAMED) is None:
        for name in [name for name in os.environ if name.startswith("PREFECT_") and "LOGGING" not in name]:
            del os.environ[name]
    os.environ |= {**(defaults or {}), **os.environ, **wanted}
    known = "prefect" in sys.modules
    try:
        import prefect.context

        if known:
            prefect.context.refresh_global_settings_context()
        yield
    finally:
        os.environ.clear()
        os.environ |= before
