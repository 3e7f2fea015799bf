"""Context in which a command runs flows in this process. The same flows run from deployments without any of this."""

from collections.abc import Iterator
from contextlib import contextmanager

from cli.engine_guard import start_guard
from cli.local_engine import use_local_engine
from cli.output import errors
from cli.progress import ProgressBars, progress
from cli.stopping import stop_at_once
from flows.progress import watched_by
from host.settings import load_settings


@contextmanager
def flow_context() -> Iterator[None]:
    """Provide an engine and live progress. Flows must be imported inside: the engine reads its settings on import.

    The engine is quiet and in this process, unless PREFECT_API_URL names a server.
    """
    start_guard()
    use_local_engine(load_settings().data_dir)
    stop_at_once()
    if not errors.is_terminal:
        errors.print("starting")
    with progress() as display, watched_by(ProgressBars(display)):
        yield
