"""Processes that this one has started."""

import gc
import os
import sys
import time
from pathlib import Path

ENDS_WITH_US = ("multiprocessing.resource_tracker", "cli/engine_guard.py", "cli/engine_server.py")
"""Children that wait for this process to end: Python's tracker of shared resources, an engine's guard and server."""


def children() -> list[str]:
    """Command lines of this process's children, without zombies and those that end with it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(") ")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [line for line in found if not any(name in line for name in ENDS_WITH_US)]


def children_left(seconds: float = 60.0) -> list[str]:
    """Children that are still there after as many seconds, once the readers of git's objects are ended: those that
    nothing holds any more, and those that caches and the engine's states keep."""
    gc.collect()
    if "repos.objects" in sys.modules:
        objects = sys.modules["repos.objects"]
        for each in gc.get_objects():
            if type(each) is objects.Objects and each._process is not None:
                objects._end(each._process)
    end = time.monotonic() + seconds
    while (left := children()) and time.monotonic() < end:
        time.sleep(0.05)
    return left
