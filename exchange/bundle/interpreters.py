"""The Python interpreters of a bundle: the one that this project runs with, and those of the corpus's environments."""

import stat
from collections.abc import Iterable
from pathlib import Path

from exchange.bundle.sources import Contents, Source
from exchange.bundle.wheels import PLATFORM, PYTHON
from harness.packages.package import read_manifest
from models.errors import UsageError
from models.manifest import NODE
from runtime.environments.interpreters import interpreter_for

_LEFT_OUT = {"__pycache__", "test", "tests", "idle_test", "share", "site-packages", "doc"}
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


def interpreter_contents(versions: Iterable[str]) -> Contents:
    """The files of interpreters, each in a folder with the name that uv gives it, so that `UV_PYTHON_INSTALL_DIR` finds
    it. Links are replaced by what they lead to; tests, documentation and installed distributions are left out.

    Raises EnvironmentFault if one is not installed, UsageError if it is part of the system.
    """
    found = Contents()
    for version in versions:
        interpreter = interpreter_for(f"cp{version.replace('.', '')}")
        if interpreter.prefix in _SYSTEM:
            raise UsageError(
                f"Python {version} in {interpreter.prefix} is the system's and cannot be moved; "
                f"run `uv python install {version}`"
            )
        name = f"cpython-{interpreter.full}-{PLATFORM}-gnu"
        found.files += _files(interpreter.prefix, f"interpreter/{name}")
    return found


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
    return relative.suffix != ".a" and (relative.parts[0] != "bin" or relative.name.startswith("python"))
