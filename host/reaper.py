"""Delete discarded trees of any shape: run as a program, it empties one trash folder.

A tree of any depth is emptied from the top: a folder that is not empty is moved up into the trash itself, so two
descriptors suffice and no path gets long. Only the standard library is used: the program starts without `site`.
"""

import contextlib
import fcntl
import os
import stat
import sys
import time

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BATCH = 1000  # entries of a folder handled before it is listed again
_TRIES = 3  # for an entry that cannot be deleted


def empty(trash: int, seconds: float = float("inf")) -> bool:
    """Delete the content of a folder for at most about `seconds`; whether it is empty afterwards."""
    deadline = time.monotonic() + seconds
    counter = 0
    refused: dict[str, int] = {}
    while names := [name for name in _some(trash) if refused.get(name, 0) < _TRIES]:
        for name in names:
            counter, gone = _shrink(trash, name, counter, deadline)
            if not gone:
                refused[name] = refused.get(name, 0) + 1
            if time.monotonic() > deadline:
                return False
    return not _some(trash)


def remove_folder(parent: int, name: str) -> None:
    """Delete a subfolder and its content. Raises OSError when something cannot be deleted."""
    folder = _opened(parent, name)
    try:
        empty(folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def _shrink(trash: int, name: str, counter: int, deadline: float) -> tuple[int, bool]:
    """Delete an entry of the trash, or its content after moving its subfolders up. False if it cannot be deleted."""
    if _deleted(trash, name):
        return counter, True
    try:
        folder = _opened(trash, name)
    except OSError:
        return counter, False
    try:
        while below := _some(folder):
            progress = False
            for each in below:
                if not _deleted(folder, each):
                    counter += 1
                    if not _moved(folder, each, trash, f"{os.getpid()}-{time.time_ns()}-{counter}"):
                        continue
                progress = True
                if time.monotonic() > deadline:
                    return counter, True
            if not progress:
                return counter, False
    finally:
        os.close(folder)
    return counter, _deleted(trash, name)


def _some(folder: int) -> list[str]:
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) == _BATCH:
                break
    return names


def _deleted(folder: int, name: str) -> bool:
    """Whether an entry (a file, a link, an empty folder) was deleted."""
    for remove in (os.unlink, os.rmdir):
        try:
            remove(name, dir_fd=folder)
        except FileNotFoundError:
            return True
        except OSError:  # a folder, or one that is not empty
            continue
        return True
    return False


def _opened(parent: int, name: str) -> int:
    """Open a folder, made accessible first: its owner's rights may have been removed."""
    with contextlib.suppress(OSError):
        _allow(parent, name)
    return os.open(name, FOLDER, dir_fd=parent)


def _moved(folder: int, name: str, trash: int, new: str) -> bool:
    try:
        _allow(folder, name)  # moving a folder needs write permission on it
        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=trash)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _allow(folder: int, name: str) -> None:
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(name, 0o700, dir_fd=folder)


def reap(path: str) -> None:
    """Empty a trash folder and remove it, unless another process is doing so; what arrives meanwhile is deleted too."""
    while True:
        try:
            trash = os.open(path, FOLDER)
        except OSError:
            return
        try:
            fcntl.flock(trash, fcntl.LOCK_EX | fcntl.LOCK_NB)
            done = empty(trash)
            if done:
                with contextlib.suppress(OSError):
                    os.rmdir(path)  # noqa: PTH106 (pathlib is slow to import)
        except BlockingIOError:
            return  # the process that holds the lock looks again after releasing it
        finally:
            os.close(trash)
        if not done or not os.path.isdir(path):  # noqa: PTH112
            return


if __name__ == "__main__":
    os.nice(19)
    reap(sys.argv[1])
