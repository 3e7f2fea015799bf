"""Whether an environment holds what its lock says: an installation that was killed leaves a Python without some of it.

Packages are those that the lock's project needs, followed through dependencies and extras under the markers of the
environment's own Python. One is there if its metadata have the version of the lock and every file of its RECORD
exists. uv itself looks for metadata only, so it does not install a package again that lacks a file.
"""

import csv
import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from packaging.markers import Marker, default_environment
from packaging.utils import canonicalize_name

from models.errors import ServingError

_CONFIGURATION = "pyvenv.cfg"


class Shortfall(NamedTuple):
    """What an environment lacks: packages that are not there in the version of the lock, and the first missing file of
    packages that are."""

    packages: tuple[str, ...]
    files: tuple[str, ...]

    def __str__(self) -> str:
        missing = [*self.packages, *self.files]
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        return f"{', '.join(missing[:3])}{more} missing"


def shortfall(folder: Path) -> Shortfall | None:
    """What `folder/.venv` lacks of `folder/uv.lock`; None if it is complete. Raises ServingError if one of them cannot
    be read."""
    venv = folder / ".venv"
    try:
        wanted = _wanted(tomllib.loads((folder / "uv.lock").read_text(encoding="utf-8")), _markers(venv))
        sites = sorted(venv.glob("lib/python*/site-packages"))
        there = _installed(sites[0]) if sites else {}
        packages, files = [], []
        for name, version in sorted(wanted.items()):
            if version not in there.get(name, {}):
                packages.append(f"{name} {version}")
            elif (file := _missing_file(there[name][version])) is not None:
                files.append(f"{file} of {name}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ServingError(
            f"{venv} cannot be compared with {folder / 'uv.lock'} ({error}); remove {venv} and make it again"
        ) from error
    return Shortfall(tuple(packages), tuple(files)) if packages or files else None


def _wanted(lock: dict[str, Any], markers: dict[str, str]) -> dict[str, str]:
    """Version by name of what the lock's own project needs, without the project."""
    packages = lock["package"]
    [project] = [each for each in packages if {"virtual", "editable"} & each.get("source", {}).keys()]
    queue, seen = [(project, "")], set[tuple[str, str, str]]()
    found: dict[str, str] = {}
    while queue:
        package, extra = queue.pop()
        needed = package.get("optional-dependencies", {}).get(extra, []) if extra else package.get("dependencies", [])
        for each in needed:
            if "marker" in each and not Marker(each["marker"]).evaluate(markers):
                continue
            [chosen] = [other for other in packages if other["name"] == each["name"] and _chosen(other, each, markers)]
            found[chosen["name"]] = chosen["version"]
            for part in ("", *each.get("extra", ())):
                if (state := (chosen["name"], chosen["version"], part)) not in seen:
                    seen.add(state)
                    queue.append((chosen, part))
    return found


def _chosen(package: dict[str, Any], dependency: dict[str, Any], markers: dict[str, str]) -> bool:
    """Whether a package is the one that a dependency means, where the lock has several versions of it."""
    if "version" in dependency:
        return bool(package["version"] == dependency["version"])
    forks = package.get("resolution-markers", ())
    return not forks or any(Marker(each).evaluate(markers) for each in forks)


def _markers(venv: Path) -> dict[str, str]:
    """The marker variables of this machine with the Python version of an environment."""
    lines = (venv / _CONFIGURATION).read_text(encoding="utf-8").splitlines()
    entries = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    version = entries.get("version_info") or entries["version"]
    parts = re.match(r"\d+\.\d+", version)
    if parts is None:
        raise ValueError(f"{venv / _CONFIGURATION} names no version of Python")
    return {**default_environment(), "python_full_version": version, "python_version": parts[0]}  # type: ignore[dict-item]


def _installed(site: Path) -> dict[str, dict[str, Path]]:
    """The metadata folders of what is installed, by name and version."""
    found: dict[str, dict[str, Path]] = {}
    for each in site.glob("*.dist-info"):
        name, _, version = each.name.removesuffix(".dist-info").rpartition("-")
        found.setdefault(canonicalize_name(name), {})[version] = each
    return found


def _missing_file(metadata: Path) -> str | None:
    """The first file of a package's RECORD that does not exist; compiled modules do not count, which Python writes."""
    record = metadata / "RECORD"
    if not record.is_file():
        return f"{metadata.name}/RECORD"
    with record.open(encoding="utf-8", newline="") as rows:
        names = [row[0] for row in csv.reader(rows) if row]
    return next((name for name in names if not name.endswith(".pyc") and not (metadata.parent / name).exists()), None)
