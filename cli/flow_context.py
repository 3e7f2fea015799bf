"""Context in which a command runs flows in this process. The same flows run from deployments without any of this."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cli.engine_guard import start_guard
from cli.local_engine import NAMED, use_local_engine, wait_for_engine
from cli.progress import ProgressBars, progress, stopwatch
from cli.stopping import stop_at_once
from flows.progress import watched_by
from host.settings import load_settings


@contextmanager
def flow_context() -> Iterator[None]:
    """Provide an engine and live progress. Flows must be imported inside: the engine reads its settings on import.

    The engine is quiet and this command's own, unless PREFECT_API_URL names a server. Raises InfrastructureError if its
    server does not start, or the named one does not answer.
    """
    start_guard()
    stop_at_once()
    with stopwatch("reaching the engine's server" if os.environ.get(NAMED) else "starting the engine"):
        use_local_engine(load_settings().data_dir)
        wait_for_engine()
    with progress() as display, watched_by(ProgressBars(display)):
        yield
