"""Locks between processes. A lock ends with the process that holds it, however that ends."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from host.private import make_directory


@contextmanager
def process_lock(path: Path, busy: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock file, waiting for it. `busy` is told the id of the process that has it, and may raise instead.

    Raises OSError if the file cannot be opened.
    """
    make_directory(path.parent)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            busy(file.read().strip() or "unknown")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
