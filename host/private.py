"""Files and directories that only their owner may read: databases, texts, caches, keys, logs.

What we make is made so whatever the umask says; what an earlier version left wider is tightened. A directory that the
user had before is never changed.
"""

import os
import stat
from pathlib import Path

DIRECTORY, FILE = 0o700, 0o600
_OTHERS = 0o077


def make_directory(path: Path) -> Path:
    """A directory, made closed to others with the parents that it lacks; what was there stays as it was. Raises
    OSError."""
    missing = [path]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(mode=DIRECTORY, exist_ok=True)
    return path


def private_directory(path: Path) -> Path:
    """A directory of ours: as `make_directory`, and tightened if an earlier version left it wider. Raises OSError."""
    make_directory(path)
    tighten(path)
    return path


def tighten(path: Path) -> None:
    """Close a file or directory of this user to others, if it is there; a link is left alone. Raises OSError.

    The file is not opened: closing it again would take away the locks that SQLite holds on it in this process.
    """
    try:
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # not there, or not ours to see
        return
    try:
        status = os.fstat(handle)
        if status.st_uid == os.geteuid() and status.st_mode & _OTHERS and _plain(status.st_mode):
            Path(f"/proc/self/fd/{handle}").chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)
    finally:
        os.close(handle)


def private_file(path: Path) -> None:
    """Make an empty file closed to others if there is none, and tighten one that is there. Raises OSError."""
    try:
        os.mknod(path, FILE | stat.S_IFREG)
    except FileExistsError:
        tighten(path)


def _plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
