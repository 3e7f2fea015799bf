"""The user of untrusted code: never the host's root, whose id owns the host whatever its privileges.

Root lends the code an id that owns nothing: no account, no file, no process but those of sandboxes. Other users' code
runs under their own id, as does that of a root inside another user's namespace only.
"""

import functools
import grp
import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from host.folders import give, let_read
from models.errors import InfrastructureError

_PREFERRED = 2_000_000_000  # in no range that distributions, systemd or container engines assign
_OVERFLOW = 65534  # shown for ids without a mapping


@functools.cache
def lent_id() -> int | None:
    """The user and group id under which sandboxed code runs; None for the caller's.

    Raises InfrastructureError when root has no other id to give.
    """
    if not is_root(os.geteuid()):
        return None
    return free_id(_ranges(Path("/proc/self/uid_map")), _ranges(Path("/proc/self/gid_map")))


def is_root(user: int) -> bool:
    """Whether a user id is the real root's, and not only root inside another user's namespace."""
    ranges = _ranges(Path("/proc/self/uid_map"))
    somebodys = len(ranges) == 1 and ranges[0][2] == 1 and ranges[0][1] != 0
    return user == 0 and not somebodys


def free_id(users: Sequence[tuple[int, int, int]], groups: Sequence[tuple[int, int, int]]) -> int:
    """A high id that is mapped as a user's and as a group's, and has no account. Raises InfrastructureError."""
    for inside, _, count in sorted(users, reverse=True):
        highest = min(inside + count - 1, _PREFERRED)
        for number in range(highest, max(inside, highest - 1000, 1) - 1, -1):
            if number != _OVERFLOW and _mapped(number, groups) and not _known(number):
                return number
    raise InfrastructureError(
        "no unprivileged user id is mapped here to run strangers' code under; map more ids or run as an ordinary user"
    )


def _ranges(path: Path) -> list[tuple[int, int, int]]:
    """Rows of an id map: first id inside, first id outside, count."""
    rows = (tuple(map(int, line.split())) for line in path.read_text().splitlines())
    return [(row[0], row[1], row[2]) for row in rows]


def _mapped(number: int, ranges: Sequence[tuple[int, int, int]]) -> bool:
    return any(inside <= number < inside + count for inside, _, count in ranges)


def _known(number: int) -> bool:
    for look_up in (pwd.getpwuid, grp.getgrgid):
        try:
            look_up(number)
        except KeyError:
            continue
        return True
    return False


def hand_over(owner: int, writable: Sequence[Path], readable: Sequence[Path]) -> None:
    """Give the lent id what it may write, and make readable what it may read. Raises InfrastructureError."""
    for path in writable:
        try:
            give(path, owner)
        except FileNotFoundError:
            continue  # bubblewrap reports this better
        except OSError as error:
            raise InfrastructureError(
                f"{path} cannot be given to user {owner}: {error.strerror}; use a local file system for temporary files"
            ) from error
    for path in readable:
        try:
            status = path.stat()
            _let_read(path, status.st_dev, status.st_ino, status.st_mtime_ns)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InfrastructureError(
                f"{path} cannot be made readable for user {owner}: {error.strerror}; run `chmod -R a+rX {path}`"
            ) from error


@functools.lru_cache(maxsize=256)
def _let_read(path: Path, device: int, inode: int, changed: int) -> None:
    """Done once per state of a folder: environments and interpreters are large and persistent."""
    if path != Path("/usr") and not path.is_relative_to("/usr"):
        let_read(path)
