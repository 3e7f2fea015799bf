"""Processes of flow runs that a worker of this server started: they are found by their environment, and ended."""

import os
import signal
import time
from pathlib import Path

MARK = "CLEAN_ROOM_SERVER"
"""Variable with the server's directory in the environment of all that the supervisor starts."""
_FLOW_RUN = "PREFECT__FLOW_RUN_ID"
_SECONDS = 10.0
"""Time to end in order, before they are killed."""


def flow_processes(directory: Path) -> dict[int, str]:
    """Ids of the processes of flow runs here, children included, each with the id of its flow run."""
    mark = f"{MARK}={directory}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile, or another user's
            continue
        prefix = f"{_FLOW_RUN}=".encode()
        if mark in variables and (own := next((each for each in variables if each.startswith(prefix)), None)):
            found[int(process.name)] = own.removeprefix(prefix).decode()
    return found


def end_flow_processes(directory: Path) -> set[str]:
    """End the processes of flow runs here: in order, and after some seconds by force; the ids of the flow runs."""
    found = set(flow_processes(directory).values())
    _signal(directory, signal.SIGTERM)
    deadline = time.monotonic() + _SECONDS
    while flow_processes(directory) and time.monotonic() < deadline:
        time.sleep(0.1)
    _signal(directory, signal.SIGKILL)
    return found


def _signal(directory: Path, number: signal.Signals) -> None:
    for process in flow_processes(directory):
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue
