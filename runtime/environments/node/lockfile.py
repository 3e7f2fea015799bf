"""The lock of a Node.js environment: which release of each package lies where in its tree, by integrity hash.

It is canonical JSON, made from what npm installed, and holds no address. Locks of packages from elsewhere are checked
here before anything is opened.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from models.errors import EnvironmentFault
from models.manifest import NODE, Environment

_MOST_PACKAGES = 20_000
_NAME = r"(?:@[A-Za-z0-9~-][\w.~-]*/)?[A-Za-z0-9_~-][\w.~-]*"
_FOLDER = r"(?:[\w@+~-][\w@.+~-]*/)*[\w@+~-][\w@.+~-]*"
_LINKED = re.compile(rf"\.|{_FOLDER}")
_PLACE = re.compile(rf"(?:{_FOLDER}/)??node_modules/{_NAME}(?:/node_modules/{_NAME})*")
_INSIDE = re.compile(r"(?:\./)?(?:(?!\.\.?/)[^/\\\0]+/)*(?!\.\.?\Z)[^/\\\0]+")
_COMMAND = re.compile(r"[\w@+~-][\w@.+~-]*")
_ALGORITHMS = ("sha512", "sha384", "sha256", "sha1")
_VERSION = re.compile(r"\d+\.\d+\.\d+[\w.+-]*")


@dataclass(frozen=True)
class LockedPackage:
    """A release at a place. `sha512` is its archive's hash (hexadecimal), `commands` what it brings to `.bin`."""

    version: str
    sha512: str
    commands: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeLock:
    """The Node.js release with the SHA-256 of its wheel, the packages by place, and links to the repository's own
    packages by place ("." is its root).

    A place may be in both: the release there serves other packages only, and the work tree has the link.
    """

    node: str
    wheel: str
    packages: Mapping[str, LockedPackage]
    links: Mapping[str, str]

    def to_json(self) -> str:
        """Canonical text."""
        packages = {
            place: {"version": each.version, "sha512": each.sha512}
            | ({"commands": dict(sorted(each.commands.items()))} if each.commands else {})
            for place, each in self.packages.items()
        }
        data = {"node": self.node, "wheel": self.wheel, "packages": packages, "links": dict(self.links)}
        return json.dumps(data, indent=1, sort_keys=True) + "\n"

    @property
    def archives(self) -> dict[str, str]:
        """File name -> SHA-512 of the archives of all packages."""
        return {archive_name(each.sha512): each.sha512 for each in self.packages.values()}

    @property
    def roots(self) -> list[str]:
        """The folders of the repository below which packages are installed; "" is its root."""
        places = [*self.packages, *self.links]
        return sorted({place.partition("node_modules/")[0].rstrip("/") for place in places})


def archive_name(sha512: str) -> str:
    """The name of an archive in a repo package's folder."""
    return f"npm-{sha512[:40]}.tgz"


def archives_of(environment: Environment) -> tuple[str, ...]:
    """The names of the archives that an environment needs beside its wheels; empty for one of Python."""
    return tuple(sorted(parse_lock(environment.lock).archives)) if environment.language == NODE else ()


def parse_lock(text: str) -> NodeLock:
    """The lock in a text. Raises EnvironmentFault for anything that could lead outside of an environment."""
    try:
        data = json.loads(text)
        packages = {str(place): _package(str(place), entry) for place, entry in data["packages"].items()}
        links = {str(place): _link(str(place), folder) for place, folder in data["links"].items()}
        lock = NodeLock(str(data["node"]), str(data["wheel"]), packages, links)
        exact = lock.to_json() == text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EnvironmentFault(f"the lock of Node.js packages cannot be read: {error}; make the lock again") from error
    if not exact or not _VERSION.fullmatch(lock.node) or not re.fullmatch(r"[0-9a-f]{64}", lock.wheel):
        raise EnvironmentFault("the lock of Node.js packages is not in its canonical form; make the lock again")
    if len(packages) > _MOST_PACKAGES:
        raise EnvironmentFault(f"the lock has more than {_MOST_PACKAGES} packages; make the lock again")
    return lock


def _package(place: str, entry: Any) -> LockedPackage:
    version, sha512, commands = str(entry["version"]), str(entry["sha512"]), entry.get("commands", {})
    if not _PLACE.fullmatch(place) or not _VERSION.fullmatch(version) or not re.fullmatch(r"[0-9a-f]{128}", sha512):
        raise ValueError(f"{place[:80]!a} is no place, or its version or hash is none")
    for name, path in commands.items():
        if not _COMMAND.fullmatch(name) or not isinstance(path, str) or not _INSIDE.fullmatch(path):
            raise ValueError(f"the command {name[:80]!a} of {place} leads outside of it")
    return LockedPackage(version, sha512, commands)


def _link(place: str, folder: Any) -> str:
    if not _PLACE.fullmatch(place) or not isinstance(folder, str) or not _LINKED.fullmatch(folder):
        raise ValueError(f"{place[:80]!a} links to no folder of the repository")
    return folder


@dataclass(frozen=True)
class Installed:
    """What npm installed: archives by place as (version, integrity, commands), and links by place."""

    packages: Mapping[str, tuple[str, str, Mapping[str, str]]]
    links: Mapping[str, str]


def installed(hidden: str, own: Mapping[str, str] = MappingProxyType({})) -> Installed:
    """What the lock says that npm leaves in the folder of the packages that it installed.

    `own` are the folders of the repository's own packages by name: where the work tree could import a release of one,
    it gets a link, and none of the release's commands. Raises EnvironmentFault.
    """
    packages: dict[str, tuple[str, str, Mapping[str, str]]] = {}
    links: dict[str, str] = {}
    try:
        for place, entry in json.loads(hidden)["packages"].items():
            if entry.get("link"):
                if re.fullmatch(_FOLDER, entry["resolved"]):
                    links[place] = entry["resolved"]
            elif "node_modules/" in place and not entry.get("inBundle"):
                if not entry.get("integrity"):
                    raise EnvironmentFault(f"{place} is no release of a registry: it has no integrity hash")
                name = entry.get("name") or place.rpartition("node_modules/")[2]
                if name in own and place.count("node_modules/") == 1:
                    if not _LINKED.fullmatch(own[name]):
                        continue
                    links[place] = own[name]
                commands = {} if name in own else _commands(entry.get("bin"))
                packages[place] = entry["version"], entry["integrity"], commands
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvironmentFault(f"what npm installed cannot be read: {error}") from error
    return Installed(packages, links)


def _commands(table: Any) -> dict[str, str]:
    """The commands whose names and paths are plain; npm links no others either."""
    if not isinstance(table, dict):
        return {}
    pairs = {str(name): str(path).removeprefix("./") for name, path in table.items()}
    return {name: path for name, path in pairs.items() if _COMMAND.fullmatch(name) and _INSIDE.fullmatch(path)}


def digests(integrity: str) -> list[tuple[str, str]]:
    """(Algorithm, hexadecimal digest) of each hash of an integrity text, the strongest first."""
    found = []
    for word in integrity.split():
        algorithm, _, encoded = word.partition("?")[0].partition("-")
        if algorithm in _ALGORITHMS:
            try:
                found.append((algorithm, base64.b64decode(encoded, validate=True).hex()))
            except binascii.Error:
                continue
    return sorted(found, key=lambda each: _ALGORITHMS.index(each[0]))
