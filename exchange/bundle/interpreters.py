"""The Python interpreters of a bundle: the one that this project runs with, and those of the corpus's environments.

Each is copied and run from there before it is packed: whatever it was installed with, the copy must need nothing
outside of itself (`movable.py`). Of the system's own Python, in /usr, there is no tree that could be copied.
"""

import re
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from exchange.bundle.movable import DESKTOP, make_movable
from exchange.bundle.sources import Contents, Source
from exchange.bundle.wheels import PLATFORM, PYTHON
from harness.packages.package import read_manifest
from host.process import CommandFailed
from models.errors import UsageError
from models.manifest import NODE
from runtime.environments.interpreters import Interpreter, installed_interpreters, interpreter_for

FOLDER = "interpreter"
_LEFT_OUT = {"__pycache__", "test", "tests", "idle_test", "share", "site-packages", "doc"}
_PROGRAM = re.compile(r"python[0-9.]*")
_SYSTEM = (Path("/usr"), Path("/"))


def needed_pythons(packages: Iterable[Path]) -> tuple[str, ...]:
    """The versions ("3.12") that this project and the environments of packages run with."""
    used = {
        environment.python
        for package in packages
        for environment in read_manifest(package).environments
        if environment.language != NODE
    }
    return tuple(sorted({PYTHON, *used}, key=lambda version: int(version.partition(".")[2])))


def further_pythons(packages: Iterable[Path]) -> tuple[str, ...]:
    """Those of them that are not this project's own."""
    return tuple(version for version in needed_pythons(packages) if version != PYTHON)


def interpreter_contents(versions: Iterable[str]) -> Contents:
    """The files of interpreters, each in a folder with the name that uv gives it, so that `UV_PYTHON_INSTALL_DIR` finds
    it. Links are replaced by what they lead to; tests, documentation and installed distributions are left out.

    Raises EnvironmentFault if one is not installed, UsageError if it is part of the system.
    """
    found = Contents()
    for interpreter in map(_interpreter, versions):
        if interpreter.prefix in _SYSTEM:
            raise UsageError(_refused(interpreter, "is the system's and cannot be moved"))
        found.files += _files(interpreter.prefix, f"{FOLDER}/{_name(interpreter)}")
    return found


def moved_interpreters(versions: Iterable[str], work: Path) -> Contents:
    """The same, copied into `work`, made independent of where they were, and run from there. Raises UsageError for one
    that does not run in another place."""
    versions, found = tuple(versions), Contents()
    shutil.rmtree(work / FOLDER, ignore_errors=True)
    for source in interpreter_contents(versions).files:
        (work / source.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.file, work / source.path)
        (work / source.path).chmod(0o755 if source.executable else 0o644)
    for interpreter in map(_interpreter, versions):
        place = work / FOLDER / _name(interpreter)
        try:
            make_movable(place / "bin" / f"python{interpreter.version}", interpreter.executable)
        except CommandFailed as error:
            raise UsageError(_refused(interpreter, f"does not run in another place ({error})")) from error
        except UsageError as error:
            raise UsageError(_refused(interpreter, str(error))) from error
        found.files += [source._replace(ours=True) for source in _files(place, f"{FOLDER}/{place.name}")]
    return found


def _interpreter(version: str) -> Interpreter:
    """The newest of a version; one that is not the system's, if there is one. Raises EnvironmentFault."""
    abi = f"cp{version.replace('.', '')}"
    own = (each for each in installed_interpreters() if each.abi == abi and each.prefix not in _SYSTEM)
    return next(own, None) or interpreter_for(abi)


def _name(interpreter: Interpreter) -> str:
    return f"cpython-{interpreter.full}-{PLATFORM}-gnu"


def _refused(interpreter: Interpreter, why: str) -> str:
    return (
        f"Python {interpreter.full} in {interpreter.prefix} {why}; "
        f"run `uv python install {interpreter.version}`, or leave out --with-python and install it there"
    )


def _files(prefix: Path, path: str) -> list[Source]:
    found = []
    for file in sorted(prefix.rglob("*")):
        relative = file.relative_to(prefix)
        if _LEFT_OUT.intersection(relative.parts) or not file.is_file() or not _needed(relative):
            continue
        if not file.resolve().is_relative_to(prefix.resolve()):
            raise UsageError(f"{file} leads out of {prefix}; install another Python with `uv python install`")
        executable = bool(file.stat().st_mode & stat.S_IXUSR)
        found.append(Source(f"{path}/{relative.as_posix()}", file, "interpreter", executable=executable))
    return found


def _needed(relative: Path) -> bool:
    """Whether a file is needed to run programs: no script of a distribution, no static library, no desktop."""
    if relative.suffix == ".a" or (relative.suffix == ".so" and relative.name.startswith(DESKTOP)):
        return False
    return relative.parts[0] != "bin" or _PROGRAM.fullmatch(relative.name) is not None
