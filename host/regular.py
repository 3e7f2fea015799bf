"""Reading what untrusted code left behind."""

import os
import stat
from pathlib import Path


def read_regular(path: Path, most: int) -> bytes | None:
    """A regular file of at most `most` bytes, or None: never through a link, never blocking on a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most)


def read_start(path: Path, most: int) -> bytes:
    """The first bytes of a regular file, at most `most`. Raises OSError for a link or a file that cannot be read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(most)
