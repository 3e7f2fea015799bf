"""Locks between processes, released when the holding process ends for any reason."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from host.private import make_directory
from models.errors import TrainingError


@contextmanager
def process_lock(path: Path, busy: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock file, waiting for it. `busy` is called with the id of the holding process, and may raise.

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


@contextmanager
def target_lock(folder: Path, target: str) -> Iterator[None]:
    """Hold the lock of a target, a file in `folder`: one training per target at a time.

    Raises TrainingError naming the process that holds it.
    """

    def refuse(holder: str) -> None:
        raise TrainingError(f"{target} is already being trained by process {holder}; wait for it or stop it") from None

    with ExitStack() as stack:
        try:
            stack.enter_context(process_lock(folder / f".{target}.lock", refuse))
        except OSError as error:
            raise TrainingError(f"{folder}: {error.strerror}; make it writable") from error
        yield
