"""Folders that are thrown away in one step, whatever was left in them.

A folder that strangers' code wrote into may take minutes to delete, or more rights and shorter paths than it left us.
It is moved aside with one rename, to a trash folder beside it; what goes quickly is deleted at once, and the rest by a
process of its own, which outlives ours and which the next use of the same place starts again if it was killed.
"""

import contextlib
import os
import secrets
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from host import reaper

_AT_ONCE = 0.25  # seconds that a caller waits for a deletion
_seen: set[Path] = set()  # trash folders that this process has looked through for what others left
_reapers: "list[subprocess.Popen[bytes]]" = []  # those that may still have to be waited for


@contextlib.contextmanager
def throwaway(prefix: str, where: Path | None = None) -> Iterator[Path]:
    """A new private folder in `where`, else in the system's place; discarded at the end. Raises OSError."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
    try:
        yield folder
    finally:
        discard(folder)


def discard(folder: Path) -> None:
    """Remove a folder; nothing happens if there is none. It loses its name at once; a large one is deleted later.

    Never raises for what is in the folder.
    """
    if not folder.is_symlink() and not folder.exists():
        return
    trash = trash_folder(folder)
    moved = trash and _moved(folder, trash)
    if trash is None or moved is None:
        _in_place(folder, float("inf"))
        return
    left_over = trash not in _seen and any(path != moved for path in trash.iterdir())
    _seen.add(trash)
    if not _in_place(moved, _AT_ONCE) or left_over:
        _start_reaper(trash)
        return
    with contextlib.suppress(OSError):  # others discard something here as well
        trash.rmdir()


def trash_folder(folder: Path) -> Path | None:
    """The trash folder of a folder's place, made if need be; None where somebody else's is in its way."""
    trash = folder.parent / _name()
    try:
        with contextlib.suppress(FileExistsError):
            trash.mkdir(mode=0o700)
        status = trash.lstat()
    except OSError:
        return None
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return trash if ours else None


def _name() -> str:
    return f".cra-trash-{os.geteuid()}"


def _moved(folder: Path, trash: Path) -> Path | None:
    """The place in the trash that a folder was moved to; None if it cannot be moved."""
    target = trash / secrets.token_hex(8)
    for _ in range(3):
        with contextlib.suppress(OSError):
            if not folder.is_symlink():
                folder.chmod(0o700)  # a folder can only be moved by who may write in it
            folder.rename(target)
            return target
        trash_folder(folder)  # emptied and removed just now, perhaps
    return None


def _in_place(folder: Path, seconds: float) -> bool:
    """Delete a folder where it is, within so many seconds; whether it is gone."""
    try:
        descriptor = os.open(folder, reaper.FOLDER)
    except NotADirectoryError:
        folder.unlink(missing_ok=True)
        return True
    except OSError:
        return not folder.exists()
    try:
        reaper.empty(descriptor, seconds)
    finally:
        os.close(descriptor)
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def _start_reaper(trash: Path) -> None:
    """Start the process that empties a trash folder; without one it stays until its place is used again."""
    _reapers[:] = [process for process in _reapers if process.poll() is None]
    with contextlib.suppress(OSError):
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, str(trash)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        _reapers.append(process)
