"""The Python interpreters of a bundle: the one that this project runs with, and those of the corpus's environments.

An interpreter that was built for one place does not run in another (it finds libraries by their whole path), so each is
copied and run from there before it is packed. Those that `uv python install` brings can be moved.
"""

import re
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from exchange.bundle.sources import Contents, Source
from exchange.bundle.wheels import PLATFORM, PYTHON
from harness.packages.package import read_manifest
from host.process import CommandFailed, run
from models.errors import UsageError
from models.manifest import NODE
from runtime.environments.interpreters import Interpreter, interpreter_for

FOLDER = "interpreter"
_LEFT_OUT = {"__pycache__", "test", "tests", "idle_test", "share", "site-packages", "doc"}
_PROGRAM = re.compile(r"python[0-9.]*")
_SYSTEM = (Path("/usr"), Path("/"))
_LOADED = """
import bz2, ctypes, hashlib, lzma, sqlite3, ssl, venv, zlib, sys
maps = open("/proc/self/maps").read().split("\\n")
print(next((line.split()[-1] for line in maps if sys.argv[1] + "/" in line), ""))
"""
"""Prints the first library that is loaded from the folder in the argument."""


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
    """The same, copied into `work` and run from there. Raises UsageError for one that does not run in another place."""
    versions = tuple(versions)
    found = interpreter_contents(versions)
    shutil.rmtree(work / FOLDER, ignore_errors=True)
    for source in found.files:
        (work / source.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.file, work / source.path)
        (work / source.path).chmod(0o755 if source.executable else 0o644)
    for interpreter in map(_interpreter, versions):
        _check_moved(interpreter, work / FOLDER / _name(interpreter))
    return Contents([source._replace(file=work / source.path, ours=True) for source in found.files])


def _check_moved(interpreter: Interpreter, place: Path) -> None:
    program = place / "bin" / f"python{interpreter.version}"
    try:
        loaded = run([str(program), "-I", "-S", "-B", "-c", _LOADED, str(interpreter.prefix)], timeout=120.0)
    except CommandFailed as error:
        raise UsageError(_refused(interpreter, f"does not run in another place ({error})")) from error
    if library := loaded.decode().strip():
        raise UsageError(_refused(interpreter, f"runs only there, as it loads {library}"))


def _interpreter(version: str) -> Interpreter:
    return interpreter_for(f"cp{version.replace('.', '')}")


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
    """Whether a file is needed to run programs: no script of a distribution, and no static library."""
    return relative.suffix != ".a" and (relative.parts[0] != "bin" or _PROGRAM.fullmatch(relative.name) is not None)
