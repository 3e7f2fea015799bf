"""The wheels of a bundle: all that the lock pins for the chosen extras, for this machine's Python and platform."""

import platform
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.tags import Tag, sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from exchange.bundle.code import build_wheel, pinned
from exchange.bundle.sources import Contents, Source, folder_contents
from exchange.lock import LOCK, export_lock, fetch_wheels
from models.errors import UsageError
from training.bases.files import hash_file

EXTRAS = ("local", "train", "server", "report", "viewer")
"""The extras that are chosen where none are named."""
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PLATFORM = f"{platform.system().lower()}-{platform.machine()}"
REQUIREMENTS, WHEELS = "requirements.txt", "wheels"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_STAMP = "fetched"
_PATCHES = 30
"""More than the patch releases that any minor version of Python has had."""


class LockedWheels(NamedTuple):
    """The wheels that would be fetched, by file name, with their bytes as the lock states them (0 where it does not);
    and the distributions that have none for this machine."""

    files: dict[str, int]
    without: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Their size."""
        return sum(self.files.values())


def check_extras(root: Path, extras: Sequence[str]) -> tuple[str, ...]:
    """The extras, sorted, each once. Raises UsageError for one that the project has not, or where there is no checkout
    of it."""
    if not (root / ".git").exists() or not (root / "pyproject.toml").is_file():
        raise UsageError(f"{root} is no git checkout; run this from a checkout of the project")
    known = tomllib.loads((root / "pyproject.toml").read_text())["project"].get("optional-dependencies", {})
    for extra in extras:
        if extra not in known:
            raise UsageError(f"--extra {extra}: the project has none; there are {', '.join(sorted(known)) or 'none'}")
    return tuple(sorted(set(extras)))


def locked_wheels(root: Path, extras: Sequence[str]) -> LockedWheels:
    """What the lock says of the wheels for this machine; nothing is fetched."""
    lock = tomllib.loads((root / LOCK).read_text())
    listed = {(package["name"], package["version"]): package.get("wheels", []) for package in lock["package"]}
    order = {tag: rank for rank, tag in enumerate(sys_tags())}
    found, without = dict[str, int](), list[str]()
    for name, version in _needed(any_patch(export_lock(root, extras))):
        wheels = {each["url"].rpartition("/")[2]: each.get("size", 0) for each in listed.get((name, version), [])}
        best = min(wheels, key=lambda wheel: _rank(wheel, order), default="")
        if best and _rank(best, order) < len(order):
            found[best] = wheels[best]
        else:
            without.append(f"{name}=={version}")
    return LockedWheels(found, tuple(without))


def wheel_contents(root: Path, extras: Sequence[str], code: Contents, work: Path) -> Contents:
    """Fetch the wheels into `work`, build the project's own, and pin all in one requirements file. What an earlier call
    fetched there is used again. Raises InfrastructureError."""
    requirements, folder, stamp = work / "locked.txt", work / WHEELS, work / _STAMP
    text = export_lock(root, extras)
    requirements.write_text(any_patch(text))
    if _needed(text) and not (stamp.is_file() and stamp.read_text() == text):
        fetch_wheels(requirements, folder)
    folder.mkdir(exist_ok=True)
    allowed = set(_HASH.findall(text))
    for file in folder.iterdir():  # of an earlier call with other extras, or half of a file
        if hash_file(file) not in allowed:
            file.unlink()
    stamp.write_text(text)
    own = build_wheel(code, work)
    pins = work / REQUIREMENTS
    pins.write_text(text + pinned(own))
    found = folder_contents(folder, WHEELS, "wheel", ours=True)
    found.folders.clear()
    found.files.append(Source(f"{WHEELS}/{own.name}", own, "wheel", ours=True))
    found.files.append(Source(REQUIREMENTS, pins, "wheel", ours=True))
    return found


def any_patch(text: str) -> str:
    """The requirements without the markers that only some patch releases of this Python meet: a bundle is for all of
    them, and the other machine's pip applies its markers itself."""
    return "".join(_unmarked(line) for line in text.splitlines(keepends=True))


def _unmarked(line: str) -> str:
    if not line[:1].isalnum() or "python_full_version" not in line:
        return line
    marker = Requirement(line.rstrip(" \\\n")).marker
    met = [marker is None or marker.evaluate({"python_full_version": f"{PYTHON}.{patch}"}) for patch in range(_PATCHES)]
    return f"{line.partition(';')[0].rstrip()} \\\n" if any(met) and not all(met) else line


def _needed(text: str) -> list[tuple[str, str]]:
    """Names and versions of the requirements that apply here."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate():
                version = str(requirement.specifier).removeprefix("==")
                found.append((canonicalize_name(requirement.name), version))
    return found


def _rank(wheel: str, order: Mapping[Tag, int]) -> int:
    """How well a wheel fits this machine: lower is better, the number of tags is "not at all"."""
    try:
        tags = parse_wheel_filename(wheel)[3]
    except InvalidWheelFilename:
        return len(order)
    return min((order[tag] for tag in tags if tag in order), default=len(order))
