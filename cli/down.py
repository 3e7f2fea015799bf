"""`cra down`: stop what `cra up` started."""

from cli.output import console, errors, waiting
from cli.server.connection import server_directory
from cli.server.supervision import Supervisor
from host.locks import process_lock
from host.settings import load_settings


def down() -> None:
    """Stop what `cra up` started, and only that: worker with its flow runs, server, database, supervisor.

    Flow runs that are stopped are marked as crashed; started again, they go on where they were. Nothing is deleted.
    Exits with 0, also when nothing runs.
    """
    directory = server_directory(load_settings())
    busy = "another `cra up` or `cra down` is at work (process {}); waiting for it"
    with process_lock(directory / "up.lock", lambda pid: errors.print(busy.format(pid), markup=False)):
        with waiting("stopping"):
            stopped = Supervisor(directory).stop()
        for name in reversed(stopped):
            console.print(f"{name}: stopped")
        if not stopped:
            console.print("nothing runs")
