"""The Python interpreters on this machine, and the choice of one for a commit."""

import json
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from host.process import CommandFailed, run
from models.errors import EnvironmentFault

# First release of each minor version: a commit runs with one that existed at its time.
_RELEASED = {
    (3, 8): date(2019, 10, 14),
    (3, 9): date(2020, 10, 5),
    (3, 10): date(2021, 10, 4),
    (3, 11): date(2022, 10, 24),
    (3, 12): date(2023, 10, 2),
    (3, 13): date(2024, 10, 7),
    (3, 14): date(2025, 10, 7),
    (3, 15): date(2026, 10, 1),
}
OLDEST_PYTHON = "3.8"
_PROBE = """
import json, os, sys, sysconfig
free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
executable = os.path.realpath(sys.executable)
print(json.dumps([sys.version_info[:3], sys.implementation.name, executable, sys.base_prefix, free_threaded]))
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython. `prefix` is its base prefix, which must be visible (read-only) where its environments are used."""

    version: str  # "3.12"
    full: str  # "3.12.1"
    abi: str  # "cp312"
    executable: Path
    prefix: Path


_listing = threading.Lock()


def installed_interpreters() -> tuple[Interpreter, ...]:
    """CPython 3.8 and newer on this machine, newest first: those found by uv, pyenv's, and our own."""
    with _listing:  # threads that ask at the same time would all list them
        return _listed()


@lru_cache(maxsize=1)
def _listed() -> tuple[Interpreter, ...]:
    found = {interpreter.executable: interpreter for path in _candidates() if (interpreter := _probe(path))}
    return tuple(sorted(found.values(), key=lambda i: (Version(i.full), str(i.executable)), reverse=True))


def _candidates() -> Iterable[Path]:
    listed = run(
        ["uv", "python", "list", "--only-installed", "--output-format", "json", "--no-config"],
        env={"UV_NO_CONFIG": "1"},
    )
    paths = [Path(entry["path"]) for entry in json.loads(listed)]
    # pyenv's shims give one version only, so uv finds no other.
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    paths += sorted(pyenv.glob("*/bin/python3"))
    paths.append(Path(getattr(sys, "_base_executable", sys.executable)))
    return dict.fromkeys(path.resolve() for path in paths if path.parent.name != "shims" and path.exists())


def _probe(path: Path) -> Interpreter | None:
    try:
        answer = json.loads(run([str(path), "-I", "-S", "-c", _PROBE], timeout=30))
    except (CommandFailed, json.JSONDecodeError):
        return None
    (major, minor, patch), implementation, executable, prefix, free_threaded = answer
    if implementation != "cpython" or free_threaded or (major, minor) < min(_RELEASED):
        return None
    return Interpreter(
        f"{major}.{minor}", f"{major}.{minor}.{patch}", f"cp{major}{minor}", Path(executable), Path(prefix)
    )


def choose_interpreter(requires_python: str, moment: datetime, installed: Sequence[Interpreter]) -> Interpreter:
    """The newest interpreter that satisfies a specifier and whose minor version was out at `moment`, else the
    oldest that satisfies it. Raises EnvironmentFault if none does."""
    specifier = SpecifierSet(requires_python)
    fitting = [i for i in installed if specifier.contains(i.full, prereleases=True)]
    if not fitting:
        have = ", ".join(i.full for i in installed) or "none"
        raise EnvironmentFault(
            f"no installed Python satisfies {requires_python!r} (installed: {have}); run `uv python install`"
        )
    newest_first = sorted(fitting, key=lambda i: Version(i.full), reverse=True)
    day = moment.astimezone(UTC).date()
    out = [i for i in newest_first if released(i.version, day)]
    return out[0] if out else newest_first[-1]


def released(version: str, day: date) -> bool:
    """Whether a minor version ("3.12") was out on a day."""
    major, minor = map(int, version.split("."))
    return _RELEASED.get((major, minor), date.max) <= day


def newest_of(day: date) -> str:
    """The newest minor version that was out on a day; "" if none that can be used here was."""
    out = [version for version, first in _RELEASED.items() if first <= day]
    return "{}.{}".format(*max(out)) if out else ""


def interpreter_for(abi: str) -> Interpreter:
    """The newest installed interpreter of an ABI ("cp312"). Raises EnvironmentFault if there is none."""
    for interpreter in installed_interpreters():
        if interpreter.abi == abi:
            return interpreter
    version = f"{abi[2]}.{abi[3:]}"
    raise EnvironmentFault(f"no Python {version} is installed; run `uv python install {version}`")
