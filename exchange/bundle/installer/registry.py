"""The bases and adapters of a later bundle become known to the databases that an earlier installation has.

The version that is being installed does it, by its own `cra`: names are compared before data is laid, and rows are
added when it is in use, since that may bring the databases to its schema.
"""

from __future__ import annotations

import json
from pathlib import Path

from .faults import InstallError
from .selftest import cra_environment, run_program

FOLDER = "registry"


def check_registry(prefix: Path, version: Path) -> None:
    """Raise InstallError if a new base or adapter has the name of another one that is there. Nothing is changed."""
    _register(prefix, version, "--check")


def add_registry(prefix: Path, version: Path) -> None:
    """Add the rows of what is new; what is there stays, and so does which adapter serves. Raises InstallError."""
    try:
        found = _register(prefix, version)
    except InstallError as error:
        again = f"{prefix / 'bin' / 'cra'} bundle register {prefix / 'current' / FOLDER}"
        raise InstallError(f"{version.name} is in use, and its registry is not known yet: {error}; {again}") from error
    for name in [*found["bases"], *found["adapters"]]:
        print(f"registered: {name}")
    for line in found["held_out"]:
        print(f"  look: {line}")
    if found["absent"]:
        print(f"  not yet: registry: no database; restore one, or `cra bundle register {prefix / 'current' / FOLDER}`")


def _register(prefix: Path, version: Path, *options: str) -> dict[str, list[str]]:
    argv = [str(version / "env" / "bin" / "cra"), "bundle", "register", str(version / FOLDER), "--json", *options]
    said = run_program(argv, cra_environment(prefix, version))
    try:
        found: dict[str, list[str]] = json.loads(said)
    except ValueError as error:
        raise InstallError(f"{' '.join(argv)} said nothing of use ({error}); run it to see why") from error
    return found
