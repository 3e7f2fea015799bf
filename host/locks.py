"""Locks between processes. A lock ends with the process that holds it, however that ends."""

import fcntl
import os
import time
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


def share_once_made(lock: int, made: Callable[[], bool], make: Callable[[], None]) -> bool:
    """Hold a lock file shared, after `make` has been called under an exclusive lock unless `made()`.

    `lock` is the file's descriptor; closing it ends the lock. True if this process called `make`.

    A shared lock is not turned into an exclusive one at once (flock(2)): in between, what was made may be removed, and
    is made again. No process waits for an exclusive lock, because another may take a shared one after its `make` and
    keep it for hours. A process waits for a shared one instead, which it gets when the `make` of another ends.
    """
    called = False
    while True:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if made():
            return called
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
            continue
        if not made():
            make()
            called = True
