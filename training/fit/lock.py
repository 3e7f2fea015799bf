"""One training per target at a time. The lock ends with the process that holds it, however that ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.private import make_directory
from models.errors import TrainingError


@contextmanager
def target_lock(folder: Path, target: str) -> Iterator[None]:
    """Hold the lock of a target, a file in `folder`. Raises TrainingError naming the process that has it."""
    try:
        make_directory(folder)
        file = (folder / f".{target}.lock").open("a+")
    except OSError as error:
        raise TrainingError(f"{folder}: {error.strerror}; make it writable") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise TrainingError(
                f"{target} is being trained already, by process {holder}; wait for it or end it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
