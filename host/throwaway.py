"""Folders that are discarded in one step, whatever is in them.

Deleting a folder that untrusted code wrote into may take minutes, or fail for long paths and missing permissions. So it
is first renamed into a trash folder next to it. What deletes quickly is deleted at once, the rest by a separate
process, which outlives ours; if it is killed, the next use of the same place starts it again.
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

_AT_ONCE = 0.25  # seconds that a caller waits for deletion
_seen: set[Path] = set()  # trash folders already checked by this process for leftovers of others
_reapers: "list[subprocess.Popen[bytes]]" = []  # children that may still need a wait()


@contextlib.contextmanager
def throwaway(prefix: str, where: Path | None = None) -> Iterator[Path]:
    """A new private folder in `where`, else in the temporary directory; discarded at the end. Raises OSError."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
    try:
        yield folder
    finally:
        discard(folder)


def discard(folder: Path) -> None:
    """Remove a folder if it exists. Its name is free at once; a large one is deleted later.

    Never raises for the folder's content.
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
    with contextlib.suppress(OSError):  # another process discards something here as well
        trash.rmdir()


def trash_folder(folder: Path) -> Path | None:
    """The trash folder for a folder's parent, created if missing; None where another user's is in its way."""
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
    """The path in the trash that a folder was moved to; None if it cannot be moved."""
    target = trash / secrets.token_hex(8)
    for _ in range(3):
        with contextlib.suppress(OSError):
            if not folder.is_symlink():
                folder.chmod(0o700)  # moving a folder needs write permission on it
            folder.rename(target)
            return target
        trash_folder(folder)  # it may have been emptied and removed just now
    return None


def _in_place(folder: Path, seconds: float) -> bool:
    """Delete a folder in place, within `seconds`; whether it is gone."""
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
    """Start the process that empties a trash folder; if that fails, the next use of its place tries again."""
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
