"""Files and directories that only their owner may read: databases, texts, caches, keys, logs.

What we make is made so whatever the umask says; what an earlier version left wider is tightened. A directory that the
user had before is never changed.
"""

import os
import stat
from pathlib import Path

DIRECTORY, FILE = 0o700, 0o600
_OTHERS = 0o077


def private_directory(path: Path) -> Path:
    """A directory of ours, with the parents that it lacks, all of them closed to others when they are made here.

    The directory itself is tightened if it was there and is this user's; its parents are left as they were. Raises
    OSError.
    """
    missing = [path]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(mode=DIRECTORY, exist_ok=True)
    tighten(path)
    return path


def tighten(path: Path) -> None:
    """Close a file or directory of this user to others, if it is there; a link is left alone. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # not there, a link, or not ours to read
        return
    try:
        status = os.fstat(handle)
        if status.st_uid == os.geteuid() and status.st_mode & _OTHERS and _plain(status.st_mode):
            os.fchmod(handle, stat.S_IMODE(status.st_mode) & ~_OTHERS)
    finally:
        os.close(handle)


def private_file(path: Path) -> None:
    """Make an empty file closed to others if there is none, and tighten one that is there. Raises OSError."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, FILE))
    except FileExistsError:
        tighten(path)


def _plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
