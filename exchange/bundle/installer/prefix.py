"""The prefix that an installation goes to: whose it is, what may lie above it, and what its disk can do.

P/versions/<id>/{code,wheels,env,...}   one folder per bundle, by the first 16 digits of its id
P/current                               link to the version in use
P/bin/cra                               runs the version in use
P/data, P/cache                         databases, models, corpus, keys; what may be deleted
"""

from __future__ import annotations

import fcntl
import grp
import json
import os
import pwd
import shutil
import stat
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .faults import InstallError

MARKER = "installation.json"
_MARK = {"layout": 1, "project": "clean-room-agent"}
_LOCK = ".install.lock"
_GIB = 1 << 30


def check_prefix(prefix: Path, sources: list[Path]) -> Path:
    """The absolute prefix. Raises InstallError where it may not be installed to; nothing is written."""
    prefix = Path(os.path.abspath(prefix))  # noqa: PTH100 (links in it are judged below)
    for source in sources:
        real, place = source.resolve(), prefix.resolve()
        if place == real or real in place.parents or place in real.parents:
            raise InstallError(f"--prefix {prefix} and the bundle in {source} lie in each other; give another prefix")
    if not str(prefix).isprintable() or ":" in str(prefix):
        raise InstallError(f"--prefix {str(prefix)!a}: has a character that a PATH cannot hold; give another prefix")
    _check_components(prefix)
    if prefix.is_dir() and any(file.name != _LOCK for file in prefix.iterdir()) and not _is_ours(prefix):
        raise InstallError(f"--prefix {prefix} holds something else; give an empty or new folder")
    return prefix


def _check_components(prefix: Path) -> None:
    """Raise InstallError if anybody but this user and root may replace the prefix, or a folder above it."""
    for place in (prefix, prefix.resolve()):  # the second has no links: what they lead to counts as well
        for above in [*reversed(place.parents), place]:
            _check_component(place, above)


def _check_component(prefix: Path, above: Path) -> None:
    try:
        state = above.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise InstallError(f"--prefix {prefix}: {above} cannot be read: {error.strerror}; give another") from error
    if state.st_uid not in (0, os.geteuid()) and (above == prefix or not _unmapped(state.st_uid)):
        raise InstallError(
            f"--prefix {prefix}: {above} belongs to {_user(state.st_uid)}, who may replace what is installed; install "
            f"as that user, or give another prefix"
        )
    if stat.S_ISLNK(state.st_mode):
        if above == prefix or above.parent.stat().st_mode & 0o022:
            raise InstallError(f"--prefix {prefix}: {above} is a link that others may change; give the folder itself")
        return
    if not stat.S_ISDIR(state.st_mode):
        raise InstallError(f"--prefix {prefix}: {above} is no folder; give another prefix")
    if state.st_mode & stat.S_ISVTX and above != prefix:
        return  # only owners replace what is in it
    if state.st_mode & 0o002:
        raise InstallError(f"--prefix {prefix}: anyone may write in {above}; `chmod o-w` it, or give another prefix")
    if state.st_mode & 0o020 and (others := _others_in(state.st_gid)):
        raise InstallError(
            f"--prefix {prefix}: {others} may write in {above} by its group; `chmod g-w` it, or give another prefix"
        )


def _unmapped(number: int) -> bool:
    """Whether an id stands for all that have none in this user namespace, the machine's root among them."""
    if number != int(Path("/proc/sys/kernel/overflowuid").read_text()):
        return False
    rows = [[int(word) for word in line.split()] for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return not any(first <= number < first + count for first, _, count in rows)


def _user(number: int) -> str:
    try:
        return f"user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"user {number}"


def _others_in(number: int) -> str:
    """A member of a group, as far as they are listed here, that is neither this user nor root; "" if there is none."""
    users = {user.pw_name: user for user in pwd.getpwall()}
    own = {name for name, user in users.items() if user.pw_uid in (0, os.geteuid())}
    try:
        listed = set(grp.getgrgid(number).gr_mem)
    except KeyError:
        listed = set()
    listed |= {name for name, user in users.items() if user.pw_gid == number}
    return next((f"user {name}" for name in sorted(listed - own)), "")


def _is_ours(prefix: Path) -> bool:
    try:
        return bool(json.loads((prefix / MARKER).read_text()) == _MARK)
    except (OSError, ValueError):
        return False


@contextmanager
def opened(prefix: Path) -> Iterator[None]:
    """The prefix, made and locked against a second installer. Raises InstallError if it cannot be written to, or its
    programs would not run."""
    try:
        prefix.mkdir(parents=True, exist_ok=True)
        _check_components(prefix)  # again: what was missing before may be somebody else's now
        with (prefix / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InstallError(f"another installer is at work in {prefix}; wait for its end") from error
            for left in _leftovers(prefix):
                left.unlink()
            if not _is_ours(prefix):
                write_file(prefix / MARKER, json.dumps(_MARK, sort_keys=True) + "\n")
            _check_programs_run(prefix)
            yield
    except OSError as error:
        where = error.filename or prefix
        raise InstallError(f"{where}: {error.strerror}; free some space, or give another --prefix") from error


def _leftovers(prefix: Path) -> list[Path]:
    """What an installer that was killed may have left."""
    folders = [folder for folder in (prefix, prefix / "bin") if folder.is_dir()]
    return [path for folder in folders for kind in (".probe-*", ".current-*", ".*.part") for path in folder.glob(kind)]


def _check_programs_run(prefix: Path) -> None:
    probe = prefix / f".probe-{uuid.uuid4().hex[:8]}"
    try:
        probe.write_text("#!/bin/sh\nexit 0\n")
        probe.chmod(0o700)
        subprocess.run([str(probe)], check=True, timeout=60)
    except (PermissionError, subprocess.SubprocessError) as error:
        raise InstallError(f"programs in {prefix} do not run ({error}): mounted with noexec? give another") from error
    finally:
        probe.unlink(missing_ok=True)


def check_space(prefix: Path, needed: int) -> None:
    """Raise InstallError if the disk of the prefix has less free than the bytes needed."""
    place = next(each for each in [prefix, *prefix.parents] if each.is_dir())
    free = shutil.disk_usage(place).free
    print(f"disk: {free / _GIB:.2f} GiB free in {place}, {needed / _GIB:.2f} needed", flush=True)
    if free < needed:
        raise InstallError(f"{place} has {free / _GIB:.2f} GiB free, and {needed / _GIB:.2f} are needed; free some")


def write_file(file: Path, text: str, mode: int = 0o644) -> None:
    """Write a file whole or not at all."""
    part = file.with_name(f".{file.name}-{uuid.uuid4().hex[:8]}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def switch(prefix: Path, version: str) -> None:
    """Make a version the one in use, in one step."""
    link = prefix / f".current-{uuid.uuid4().hex[:8]}"
    try:
        link.symlink_to(f"versions/{version}")
        link.replace(prefix / "current")
    finally:
        link.unlink(missing_ok=True)
