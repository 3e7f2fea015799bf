"""Signals that stop a command."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

_CLEANING_SECONDS = 0.5
_UNCHANGED = "stopped; nothing was changed"


def stop_at_once() -> None:
    """Have SIGINT and SIGTERM end this process and its children without asking the engine."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    """End at once: nothing that was stored is lost by it, and an engine that is asked first takes a minute."""
    _end(number, "stopped; the same command goes on from here")


@contextlib.contextmanager
def stopped_by_interrupt() -> Iterator[None]:
    """Have SIGINT end the body, which cleans up, and then this process and its children, with exit code 130.

    What runs in other threads is not waited for: a model in this process would end its answer first. Nor is a cleaning
    that takes over half a second, or code that an exception does not end.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        last = threading.Timer(_CLEANING_SECONDS, _end, (number, _UNCHANGED))
        last.daemon = True
        last.start()
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        _end(signal.SIGINT, _UNCHANGED)
    finally:
        signal.signal(signal.SIGINT, previous)


def _end(number: int, said: str) -> NoReturn:
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGTERM)
    sys.stderr.write("\x1b[?25h" if sys.stderr.isatty() else "")  # the cursor, which the progress bars hid
    sys.stderr.write(f"\n{said}\n")
    sys.stderr.flush()
    os._exit(128 + number)
