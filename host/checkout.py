"""The checkout of this project, and the versions that its locks name."""

import tomllib
from pathlib import Path

import models
from models.errors import InfrastructureError

ROOT = Path(models.__file__).resolve().parents[1]
"""The checkout, or the folder that this program was installed into."""
LOCK = "uv.lock"


def locked_versions(folder: Path) -> dict[str, set[str]]:
    """The versions of each package in a folder's lock: several where extras exclude each other. Empty without a lock.

    Raises InfrastructureError for a lock that cannot be read.
    """
    file = folder / LOCK
    if not file.is_file():
        return {}
    try:
        packages = tomllib.loads(file.read_text(encoding="utf-8"))["package"]
        found: dict[str, set[str]] = {}
        for package in packages:
            if "version" in package:
                found.setdefault(package["name"], set()).add(package["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InfrastructureError(
            f"{file} cannot be read as a lock ({error}); restore it with `git checkout`"
        ) from error
    return found
