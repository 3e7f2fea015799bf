"""Files and directories readable by their owner only: databases, texts, caches, keys, logs.

New ones are created private whatever the umask; wider ones of an earlier version are tightened. A directory that the
user already had is never changed.
"""

import os
import stat
from pathlib import Path

DIRECTORY, FILE = 0o700, 0o600
_OTHERS = 0o077


def make_directory(path: Path) -> Path:
    """Create a private directory with its missing parents; an existing one keeps its mode. Raises OSError."""
    missing = [path]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(mode=DIRECTORY, exist_ok=True)
    return path


def private_directory(path: Path) -> Path:
    """As `make_directory`, and tighten the directory if an earlier version left it wider. Raises OSError."""
    make_directory(path)
    tighten(path)
    return path


def tighten(path: Path) -> None:
    """Make a file or directory of this user private, if it exists; a link is left alone. Raises OSError.

    The file is not opened: closing it again would release the locks that SQLite holds on it in this process.
    """
    try:
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # missing, or not accessible
        return
    try:
        status = os.fstat(handle)
        if status.st_uid == os.geteuid() and status.st_mode & _OTHERS and _plain(status.st_mode):
            Path(f"/proc/self/fd/{handle}").chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)
    finally:
        os.close(handle)


def private_file(path: Path) -> None:
    """Create an empty private file if there is none, and tighten an existing one. Raises OSError."""
    try:
        os.mknod(path, FILE | stat.S_IFREG)
    except FileExistsError:
        tighten(path)


def _plain(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)
