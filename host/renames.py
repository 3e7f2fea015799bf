"""Renames that the kernel does in one step and never halfway: to a name that is free, or two names exchanged."""

import ctypes
import errno
import os
from functools import lru_cache
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE, _EXCHANGE = 1, 2


def rename_new(source: Path, target: Path) -> None:
    """Rename to a name that must be free. Raises FileExistsError, or OSError."""
    _rename(source, target, _NOREPLACE)


def exchange_names(one: Path, other: Path) -> None:
    """Exchange two names of one file system. Raises OSError."""
    _rename(one, other, _EXCHANGE)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """Wait until all files and names below a folder are on the disk. Raises OSError."""
    for current, _, files in os.walk(root):
        for name in files:
            descriptor = os.open(Path(current, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(current))


def _rename(source: Path, target: Path, flags: int) -> None:
    """renameat2(2), which Python does not have."""
    if _libc().renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) != 0:
        number = ctypes.get_errno()
        text = os.strerror(number)
        if number in (errno.EINVAL, errno.ENOSYS):
            text = "this file system cannot exchange names in one step; use ext4, xfs or btrfs"
        raise OSError(number, text, str(source), None, str(target))


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
