"""Deleting trees that are thrown away, whatever their shape: run as a program, it empties one trash folder.

A tree of any depth is emptied from its top: a folder that is not empty is moved up into the trash itself, so that two
descriptors are enough and no path is ever long. Only the standard library is used: the program starts without `site`.
"""

import contextlib
import fcntl
import os
import stat
import sys
import time

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BATCH = 1000  # entries of a folder that are dealt with before it is read anew
_TRIES = 3  # for what does not go


def empty(trash: int, seconds: float = float("inf")) -> bool:
    """Delete what is in a folder, for at most about so many seconds; whether it is empty then."""
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
    """Delete a folder of a folder, with all that is in it. Raises OSError when something does not go."""
    folder = _opened(parent, name)
    try:
        empty(folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def _shrink(trash: int, name: str, counter: int, deadline: float) -> tuple[int, bool]:
    """Delete an entry of the trash, or what is in it and move the folders below it up. False when it will not go."""
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
    """Whether an entry is gone: a file, a link, an empty folder."""
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
    """A folder, made accessible first: whoever left it may have taken all rights from its owner."""
    with contextlib.suppress(OSError):
        _allow(parent, name)
    return os.open(name, FOLDER, dir_fd=parent)


def _moved(folder: int, name: str, trash: int, new: str) -> bool:
    try:
        _allow(folder, name)  # a folder can only be moved by who may write in it
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
    """Empty a trash folder and remove it, unless another process is at it; what comes in meanwhile goes as well."""
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
            return  # whoever holds it looks again after letting go
        finally:
            os.close(trash)
        if not done or not os.path.isdir(path):  # noqa: PTH112
            return


if __name__ == "__main__":
    os.nice(19)
    reap(sys.argv[1])
