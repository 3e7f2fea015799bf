"""`cra down`: stop what `cra up` started."""

from pathlib import Path

from cli.output import console, errors, waiting
from cli.server.connection import server_client_settings, server_directory
from cli.server.leftovers import end_flow_processes, flow_processes
from cli.server.supervision import Supervisor
from host.locks import process_lock
from host.settings import load_settings
from models.settings import Settings


def down() -> None:
    """Stop what `cra up` started, and only that: worker with its flow runs, server, database, supervisor.

    Flow runs that are stopped are marked as crashed; started again, they go on where they were. Nothing is deleted.
    Exits with 0, also when nothing runs.
    """
    settings = load_settings()
    directory = server_directory(settings)
    busy = "another `cra up` or `cra down` is at work (process {}); waiting for it"
    with process_lock(directory / "up.lock", lambda pid: errors.print(busy.format(pid), markup=False)):
        with waiting("stopping"):
            under_way = set(flow_processes(directory).values())
            stopped = Supervisor(directory).stop(lambda: _end_flow_runs(settings, directory, under_way))
            end_flow_processes(directory)  # of a worker whose supervisor was killed
        for name in reversed(stopped):
            console.print(f"{name}: stopped")
        if not stopped:
            console.print("nothing runs")


def _end_flow_runs(settings: Settings, directory: Path, under_way: set[str]) -> None:
    """End the processes of flow runs, and tell the server so where they did not."""
    under_way |= end_flow_processes(directory)  # also of runs that the worker began meanwhile
    if not under_way:
        return
    with server_client_settings(settings):
        import httpx
        from prefect.client.orchestration import get_client
        from prefect.exceptions import PrefectHTTPStatusError

        from flows.server.sweeper import mark_stopped

        try:
            with get_client(sync_client=True) as client:
                mark_stopped(client, sorted(under_way))
        except (httpx.HTTPError, PrefectHTTPStatusError) as error:
            errors.print(
                f"the server does not answer ({type(error).__name__}); it will say for a while that stopped runs run"
            )
