"""`cra worker`: take flow runs of a work pool, on this machine or another one than the server's."""

import os
import socket
from typing import Annotated

import typer

from cli.local_engine import NAMED
from cli.output import errors
from cli.server.connection import HEARTBEAT_SECONDS, POOL, read_connection, server_client_settings
from host.settings import load_settings
from models.errors import UsageError
from models.settings import Settings
from store.runs import open_raw_store
from store.upkeep import MOST_SKEW, database_facts, is_postgresql

POLL_SECONDS = 5
"""Between two looks for work: what a run waits at most before it starts."""


def worker(
    pool: Annotated[str, typer.Option(help="The work pool.")] = POOL,
    limit: Annotated[int, typer.Option(help="Flow runs at a time.", min=1)] = 1,
    name: Annotated[str | None, typer.Option(help="Its name in the UI; host and process if unset.")] = None,
) -> None:
    """Take flow runs of the server's work pool and run them here, one at a time, until Ctrl-C.

    The server is the one of `cra up`, or PREFECT_API_URL (with PREFECT_API_AUTH_STRING) names it; on another machine
    CRA_RAW_DATABASE and CRA_CURATED_DATABASE name the databases. cra.toml is read in this directory. Exits with 2 when
    the code here is of another version than the deployments, or the clock is off, and with 1 when database or server
    cannot be reached.
    """
    settings = load_settings()
    os.environ["PREFECT_LOGGING_LEVEL"] = "INFO"  # other commands keep the engine quiet
    paces = {
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        "PREFECT_WORKER_QUERY_SECONDS": str(POLL_SECONDS),
    }
    with server_client_settings(settings, paces):
        settings = load_settings()  # with the databases of the server
        _check_databases(settings)

        import httpx
        from prefect.client.orchestration import get_client
        from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

        from flows.server.state import server_skew, unreachable
        from flows.server.worker import check_version, run_worker

        with get_client(sync_client=True) as client:
            try:
                client.read_work_pool(pool)
                known = check_version(client)
                _check_clock("the server", server_skew(client))
            except ObjectNotFound:
                raise UsageError(
                    f"the server has no work pool {pool}; run `cra up`, give --pool, or let PREFECT_API_URL end in /api"
                ) from None
            except (httpx.HTTPError, PrefectHTTPStatusError) as error:
                raise unreachable(client, error) from error
        name = name or f"{socket.gethostname()}-{os.getpid()}"
        errors.print(f"{name} takes runs of {known} deployments from pool {pool}; Ctrl-C ends it", markup=False)
        run_worker(pool, name, limit)


def _check_databases(settings: Settings) -> None:
    """Raise DatabaseError if a database cannot be reached or is newer than this code, UsageError for a clock that is
    off; warn of what will go wrong."""
    open_raw_store(settings.raw_url)
    _check_clock("the database", database_facts(settings.raw_url, "raw").skew)
    connection, named = read_connection(settings), os.environ.get(NAMED)
    ours = connection is not None and connection.own and (named is None or connection.is_at(named))
    if not ours and not is_postgresql(settings.raw_url):  # also through a tunnel, whose end is on this machine
        errors.print(
            f"warning: this worker writes to {settings.raw_url} on this machine alone; set CRA_RAW_DATABASE to the "
            "PostgreSQL database that all workers share",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


def _check_clock(whose: str, skew: float) -> None:
    """Raise UsageError for a clock that is off: the server would take runs here for dead, or for alive."""
    if abs(skew) > MOST_SKEW:
        raise UsageError(
            f"the clock here is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} that of {whose}, which would "
            "take the runs of this worker for dead; set it, for instance with chrony"
        )
