"""Bytecode of wheels, compiled once per wheel and interpreter version and linked into every environment.

The base interpreter compiles without `site`, so that no `.pth` file of a wheel runs: outside the sandbox, the content
of wheels is read and never executed.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from host.process import CommandFailed, run
from runtime.environments.interpreters import Interpreter
from runtime.environments.wheel_checks import CHECKS, unpack_wheel


def has_bytecode(digest: str, interpreter: Interpreter, cache: Path) -> bool:
    """Whether the wheel with this SHA-256 is compiled already."""
    return _place(digest, interpreter, cache).is_dir()


def _place(digest: str, interpreter: Interpreter, cache: Path) -> Path:
    return cache / f"{digest}-{interpreter.abi}-{CHECKS}"


def link_bytecode(wheels: Mapping[Path, str], interpreter: Interpreter, cache: Path, site_packages: Path) -> None:
    """Link the bytecode of `wheels` (path -> SHA-256) into `site_packages`, compiling what `cache` lacks.

    Modules that do not compile (templates, other Python versions) get none. Raises InfrastructureError, OSError.
    """
    cache.mkdir(parents=True, exist_ok=True)
    places = {path: _place(digest, interpreter, cache) for path, digest in wheels.items()}
    _compile({path: place for path, place in places.items() if not place.exists()}, interpreter, cache)
    for place in places.values():
        for folder, _, files in os.walk(place):
            inside = site_packages / Path(folder).relative_to(place)
            if files and inside.parent.is_dir():
                inside.mkdir(exist_ok=True)
                for name in files:
                    with contextlib.suppress(FileExistsError):
                        os.link(f"{folder}/{name}", f"{inside}/{name}")


def _compile(missing: Mapping[Path, Path], interpreter: Interpreter, cache: Path) -> None:
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix=".compile-", dir=cache) as scratch:
        for path, place in missing.items():
            unpack_wheel(path, Path(scratch, place.name))
        argv = [str(interpreter.executable), "-I", "-S", "-W", "ignore", "-m", "compileall", "-qq", "-j", "0",
                "--invalidation-mode", "unchecked-hash", scratch]  # fmt: skip
        try:
            run(argv, timeout=1800)
        except CommandFailed as error:
            # Exit code 1 without output: some file is not Python of this version. Output means a fault of the disk.
            if error.returncode != 1 or error.stderr.strip():
                raise
        for place in missing.values():
            _keep_bytecode_only(Path(scratch, place.name))
            _publish(Path(scratch, place.name), place)


def _keep_bytecode_only(folder: Path) -> None:
    for current, folders, files in os.walk(folder, topdown=False):
        for name in files:
            if Path(current).name != "__pycache__" or not name.endswith(".pyc"):
                Path(current, name).unlink()
        for name in folders:
            with contextlib.suppress(OSError):  # not empty: it has bytecode
                Path(current, name).rmdir()


def _publish(folder: Path, place: Path) -> None:
    folder.mkdir(exist_ok=True)
    try:
        folder.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        shutil.rmtree(folder)  # another process was first
