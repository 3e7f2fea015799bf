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


def share_once_made(lock: int, turn: int, made: Callable[[], bool], make: Callable[[], None]) -> bool:
    """Hold a lock file shared, after `make` has been called under an exclusive lock unless `made()`.

    `lock` is the file's descriptor; closing it ends the lock. `turn` is that of another file, by which processes that
    found nothing made take turns: only one of them at a time asks for the exclusive lock, so none waits for it while
    another, which has made it, keeps its shared lock for hours. True if this process called `make`.

    A lock is not turned into one of another kind at once (flock(2)): in between, what was made may be removed, and is
    made again.
    """
    fcntl.flock(lock, fcntl.LOCK_SH)
    if made():
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    fcntl.flock(turn, fcntl.LOCK_EX)
    try:
        called = False
        while True:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if made():  # by itself, or by one that had its turn before
                return called
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made():
                make()
                called = True
    finally:
        fcntl.flock(turn, fcntl.LOCK_UN)
