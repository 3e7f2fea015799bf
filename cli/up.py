"""`cra up`: the server with all that campaigns need, kept running by a supervisor."""

import os
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.request import urlopen

import typer

from cli.local_engine import NAMED
from cli.output import console, errors, waiting
from cli.server.connection import (
    HEARTBEAT_SECONDS,
    POOL,
    Connection,
    StoreKind,
    embedded_urls,
    read_connection,
    server_client_settings,
    server_directory,
    write_connection,
)
from cli.server.supervision import Program, Supervisor
from host.air_gap import refuse_address
from host.locks import process_lock
from host.postgres import check_data_directory, initialise, programs, socket_answers
from host.settings import load_settings
from models.errors import InfrastructureError, UsageError
from models.settings import Settings
from store.upkeep import asynchronous, create_databases, database_on

_PORT = 4200
_START_SECONDS = 180
_ENGINE, _OURS = "prefect", "clean_room"
"""The two databases on a PostgreSQL server."""


def up(
    postgres: Annotated[
        str | None,
        typer.Option(
            envvar="CLEAN_ROOM_POSTGRES",
            metavar="URL|embedded",
            help="A PostgreSQL server for several workers: its URL, or one of its own; SQLite if unset.",
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the server on 127.0.0.1; 4200 at first.", min=1, max=65535)
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Flow runs at a time of the worker; 1 at first.", min=1)] = None,
) -> None:
    """Start the server, a worker, and what heals after a kill; make work pool, deployments and automation on it.

    Again, it changes nothing but what is missing or was made by another version of the code. With PREFECT_API_URL set,
    that server gets pool, deployments and automation, and a worker is started here. The worker reads the cra.toml of
    this directory and has this environment. Exits with 1 when something does not start.
    """
    settings = load_settings()
    directory = server_directory(settings)
    busy = "another `cra up` or `cra down` is at work (process {}); waiting for it"
    with process_lock(directory / "up.lock", lambda pid: errors.print(busy.format(pid), markup=False)):
        supervisor = Supervisor(directory)
        running = supervisor.states() is not None
        connection = _wanted(settings, directory, postgres, port, limit, running)
        if not running:
            _start_supervisor(settings, supervisor, connection)
        if connection.own:
            _start_server(supervisor, connection, directory)
        _furnish(settings)
        for program in ("worker", "sweeper"):
            _say(program, "started" if supervisor.run(program) else "already runs")
        with waiting("waiting for the worker"):
            _wait_for_worker(settings, supervisor)
    _tell(settings, connection, supervisor)


def _say(what: str, done: str) -> None:
    console.print(f"{what}: {done}", markup=False, soft_wrap=True)


def _wanted(
    settings: Settings, directory: Path, postgres: str | None, port: int | None, limit: int | None, running: bool
) -> Connection:
    """The connection to use: the one on note, changed as wanted. Raises UsageError for a change to what runs."""
    known = read_connection(settings)
    if known is not None and running:
        _refuse_changes(known, postgres, port, limit)
        return known
    limit = limit or (known.limit if known is not None else 1)
    before = known if known is not None and known.own else None
    if (url := os.environ.get(NAMED)) and not (before is not None and before.is_at(url)):
        refuse_address(f"the server that {NAMED} names", url)
        auth = os.environ.get("PREFECT_API_AUTH_STRING")
        return Connection(url=url.rstrip("/"), auth=auth, own=False, directory=Path.cwd(), limit=limit)
    port = port or (before.port if before is not None else None) or _PORT
    _check_port(port)
    kind = before.store if before is not None and postgres is None else _kind(postgres)
    engine, ours = _databases(directory, postgres, before, kind)
    return Connection(
        url=f"http://127.0.0.1:{port}/api",
        auth=before.auth if before is not None and before.auth else f"cra:{secrets.token_urlsafe(24)}",
        store=kind,
        engine_database=engine,
        database=ours,
        directory=Path.cwd(),
        limit=limit,
    )


def _kind(postgres: str | None) -> StoreKind:
    return "sqlite" if postgres is None else "embedded" if postgres == "embedded" else "postgres"


def _refuse_changes(known: Connection, postgres: str | None, port: int | None, limit: int | None) -> None:
    named = os.environ.get(NAMED)
    changes = {
        f"--postgres {postgres}": postgres is not None and _kind(postgres) != known.store,
        f"--port {port}": port is not None and port != known.port,
        f"--limit {limit}": limit is not None and limit != known.limit,
        f"{NAMED}={named}": named is not None and named.rstrip("/") != known.url,
    }
    for what, differs in changes.items():
        if differs:
            raise UsageError(f"{what} differs from what runs ({known.store}, {known.url}); `cra down` first")


def _databases(
    directory: Path, postgres: str | None, known: Connection | None, kind: StoreKind
) -> tuple[str | None, str | None]:
    """URLs of the server's database and of ours; None for those on SQLite. An embedded PostgreSQL is made."""
    if kind == "sqlite":
        return None, None
    if kind == "postgres":
        if postgres is None:
            assert known is not None
            return known.engine_database, known.database
        return asynchronous(database_on(postgres, _ENGINE)), database_on(postgres, _OURS)
    programs()
    data = directory / "postgres"
    if check_data_directory(data):
        if known is None or known.store != "embedded" or known.engine_database is None:
            _, _, password = (directory / "pgpass").read_text().strip().rpartition(":")
        else:
            return known.engine_database, known.database
    else:
        password = secrets.token_urlsafe(24)
        embedded_urls(directory, password)  # notes the password first
        with waiting("making the database"):
            initialise(data, password)
        _say("PostgreSQL", f"made in {data}")
    server, ours = embedded_urls(directory, password)
    return asynchronous(database_on(server, _ENGINE)), ours


def _check_port(port: int) -> None:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(f"port {port} cannot be used ({error.strerror}); give another: --port 4201") from error


def _start_supervisor(settings: Settings, supervisor: Supervisor, connection: Connection) -> None:
    write_connection(settings, connection)
    programs_: list[Program] = ["worker", "sweeper"]
    if connection.own:
        programs_ = ["server", *programs_]
    if connection.store == "embedded":
        programs_ = ["postgres", *programs_]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not (connection.own and name.startswith("PREFECT_")) and name != "CLEAN_ROOM_POSTGRES"
    }
    places = {"CRA_DATA_DIR": str(settings.data_dir.absolute()), "CRA_CACHE_DIR": str(settings.cache_dir.absolute())}
    supervisor.start(programs_, {**environment, **places})
    _say("supervisor", "started")


def _start_server(supervisor: Supervisor, connection: Connection, directory: Path) -> None:
    if connection.store == "embedded":
        done = "started" if supervisor.run("postgres") else "already runs"
        with waiting("waiting for PostgreSQL"):
            _wait(supervisor, "postgres", lambda: socket_answers(directory))
        _say("PostgreSQL", done)
    if connection.database is not None and connection.engine_database is not None:
        server = connection.engine_database.replace("postgresql+asyncpg://", "postgresql://")
        if connection.store == "embedded":
            server = database_on(server, "postgres")
        else:
            server = database_on(connection.database, "postgres")
        for name in create_databases(server, [_ENGINE, _OURS]):
            _say(f"database {name}", "made")
    done = "started" if supervisor.run("server") else "already runs"
    with waiting("waiting for the server"):
        _wait(supervisor, "server", lambda: _is_ready(connection.url))
    _say("server", done)


def _is_ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/ready", timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait(supervisor: Supervisor, program: Program, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        state = next((each for each in supervisor.states() or [] if each.name == program), None)
        if state is None or not state.up or time.monotonic() > deadline:
            raise InfrastructureError(f"{program} does not answer; {supervisor.last_words(program)}")
        time.sleep(0.2)


def _furnish(settings: Settings) -> None:
    """Make work pool, deployments and automation."""
    with waiting("looking at the deployments"), server_client_settings(settings):
        import httpx
        from prefect.client.orchestration import get_client
        from prefect.exceptions import PrefectHTTPStatusError

        from flows.server.automations import make_automation
        from flows.server.deployments import make_deployments, make_pool
        from flows.server.state import unreachable

        with get_client(sync_client=True) as client:
            try:
                _say(f"work pool {POOL}", make_pool(client, POOL))
                for name, done in make_deployments(client, POOL):
                    _say(f"deployment {name}", done)
                _say("automation on silent flow runs", make_automation(client, HEARTBEAT_SECONDS))
            except (httpx.HTTPError, PrefectHTTPStatusError) as error:
                raise unreachable(client, error) from error


def _wait_for_worker(settings: Settings, supervisor: Supervisor) -> None:
    """Wait until the worker has told the server of itself. Raises InfrastructureError if a program does not keep up."""
    from prefect.client.orchestration import get_client

    from flows.server.state import workers

    deadline = time.monotonic() + _START_SECONDS
    with server_client_settings(settings), get_client(sync_client=True) as client:
        while True:
            states = {each.name: each for each in supervisor.states() or []}
            failing = [each.name for each in states.values() if each.state not in ("STARTING", "RUNNING")]
            if failing or time.monotonic() > deadline:
                name = failing[0] if failing else "worker"
                raise InfrastructureError(f"{name} does not keep running; {supervisor.last_words(name)}")
            ours = f"-{states['worker'].pid}"
            settled = all(each.state == "RUNNING" for each in states.values())
            if settled and any(each.online and each.name.endswith(ours) for each in workers(client, POOL)):
                return
            time.sleep(0.5)


def _tell(settings: Settings, connection: Connection, supervisor: Supervisor) -> None:
    console.print(f"\nUI: {connection.page}", markup=False, soft_wrap=True)
    if connection.own:
        path = server_directory(settings) / "password"
        console.print(
            f"its password is in {path} (user and password in one, as the UI asks for it)", markup=False, soft_wrap=True
        )
    console.print(
        f"worker: reads cra.toml in {connection.directory}; logs: {supervisor.logs}", markup=False, soft_wrap=True
    )
    missing = [name for name in ("raw_database", "curated_database") if getattr(settings, name) is None]
    if connection.database is not None and missing and connection.store == "embedded":
        console.print("\nFor commands here to read what the workers write, put at the top of cra.toml:", soft_wrap=True)
        for name in missing:
            console.print(f'{name} = "{connection.database}"', markup=False, soft_wrap=True)
    elif connection.database is not None and missing:
        console.print(
            "\nCommands here read SQLite, the workers write PostgreSQL: set CRA_RAW_DATABASE and CRA_CURATED_DATABASE "
            f"to the database {_OURS} of your server.",
            soft_wrap=True,
        )
