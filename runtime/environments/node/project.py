"""The packages of a JavaScript repository as its files declare them: the root, its workspaces, their dependencies."""

import fnmatch
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from runtime.environments.node.pins import Pins, read_pins

Reader = Callable[[str], bytes | None]

SECTIONS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_NOT_TESTED = {
    "bench", "benchmark", "benchmarks", "demo", "demos", "doc", "docs", "e2e", "example", "examples", "fixtures",
    "node_modules", "playground", "playgrounds", "site", "website", "www",
}  # fmt: skip
_NAME = re.compile(r"(?:@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*", re.IGNORECASE)
_ELSEWHERE = re.compile(
    r"(?:git\b|https?:|github:|gitlab:|bitbucket:|gist:|file:|link:|portal:|exec:|ssh:)|[^@\s]+/[^\s]+$"
)
_PATCHED = re.compile(r"patch:[^#]*?@(?:npm(?::|%3A))?([^#]+)")


@dataclass(frozen=True)
class NodePackage:
    """A package of the repository: its folder ("" for the root) and the content of its package.json."""

    folder: str
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name it is imported by; "" for none."""
        name = self.data.get("name")
        return name if isinstance(name, str) and _NAME.fullmatch(name) else ""

    def table(self, key: str) -> dict[str, Any]:
        """An object of package.json; empty if it is missing or something else."""
        value = self.data.get(key)
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class NodeProject:
    """A repository's packages, the root first; `lock` is npm's own lock, `pins` the versions that another one gives.

    `catalogs` are the named ranges of pnpm, by catalog.
    """

    packages: tuple[NodePackage, ...]
    lock: str = ""
    pins: Pins = field(default_factory=Pins)
    catalogs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def root(self) -> NodePackage:
        """The package at the repository's root."""
        return self.packages[0]

    @property
    def workspaces(self) -> tuple[NodePackage, ...]:
        """The further packages."""
        return self.packages[1:]


def read_node_project(read: Reader, paths: Collection[str]) -> NodeProject | None:
    """The packages of a tree; None without a readable package.json at its root. `read` gives a file's bytes, or None.

    Packages in folders of examples, documentation and benchmarks are left out: tests need them rarely.
    """
    root = read_package(read, "")
    if root is None:
        return None
    text = read("pnpm-workspace.yaml") if "pnpm-workspace.yaml" in paths else None
    settings = _mapping(text)
    named = root.data.get("workspaces")
    globs = named if isinstance(named, list) else named.get("packages", []) if isinstance(named, dict) else []
    globs = [*globs, *(settings.get("packages") or [])]
    folders = _workspaces([each for each in globs if isinstance(each, str)], paths)
    packages = [root, *(found for folder in folders if (found := read_package(read, folder)) and found.name)]
    lock = next((raw for name in ("package-lock.json", "npm-shrinkwrap.json") if (raw := read(name))), b"")
    pins = Pins() if lock else read_pins(read)
    return NodeProject(tuple(packages), lock.decode("utf-8", "replace"), pins, _catalogs(settings))


def read_package(read: Reader, folder: str) -> NodePackage | None:
    """The package in a folder; None without a readable package.json."""
    raw = read(f"{folder}/package.json" if folder else "package.json")
    try:
        data = json.loads(raw) if raw is not None else None
    except (ValueError, RecursionError):
        return None
    return NodePackage(folder, data) if isinstance(data, dict) else None


def needed(project: NodeProject, also: NodeProject | None = None) -> list[dict[str, Any]]:
    """For each package what npm has to know of it: name, version, and dependencies that a registry can serve.

    Of `also`, the parent's project, the dependencies are added that the project itself no longer has: its tests have to
    run in the same environment. Dependencies on git repositories, archives and folders are left out.
    """
    own = {package.name for package in project.workspaces}
    before = {package.folder: package for package in also.packages} if also else {}
    return [_reduced(project, package, before.get(package.folder), own) for package in project.packages]


def dropped(project: NodeProject, parent: NodeProject | None) -> bool:
    """Whether the parent has dependencies that the project no longer has."""
    return needed(project, parent) != needed(project)


def _reduced(project: NodeProject, package: NodePackage, before: NodePackage | None, own: set[str]) -> dict[str, Any]:
    reduced: dict[str, Any] = {"name": package.name or "project", "version": _version(package), "private": True}
    has = {name for section in SECTIONS for name in package.table(section)}
    for section in SECTIONS:
        wanted = dict(package.table(section))
        if before is not None and section != "peerDependencies":
            wanted |= {name: spec for name, spec in before.table(section).items() if name not in has}
        specs = {
            name: spec
            for name, given in sorted(wanted.items())
            if isinstance(given, str) and _NAME.fullmatch(name)
            if (spec := _spec(project, package.folder, name, given, own))
        }
        if specs:
            reduced[section] = specs
    for key in ("peerDependenciesMeta", "overrides", "bin"):
        if value := package.table(key):
            reduced[key] = value
    if not package.folder and project.workspaces:
        reduced["workspaces"] = [workspace.folder for workspace in project.workspaces]
    return reduced


def _version(package: NodePackage) -> str:
    version = package.data.get("version")
    return version if isinstance(version, str) and re.fullmatch(r"\d+\.\d+\.\d+[\w.+-]*", version) else "0.0.0"


def _spec(project: NodeProject, folder: str, name: str, given: str, own: set[str]) -> str | None:
    """What npm is to look for; None for what no registry serves."""
    given = given.strip()
    if given.startswith("catalog:"):
        catalog = project.catalogs.get(given.removeprefix("catalog:").strip() or "default", {})
        given = catalog.get(name, "")
        if not given:
            return None
    if given.startswith(("workspace:", "link:", "portal:", "file:")):
        return "*" if name in own else None
    if match := _PATCHED.match(given):
        given = match.group(1)
    given = given.removeprefix("npm:") if re.match(r"npm:[\^~<>=\d*]", given) else given
    if given.startswith("npm:"):
        target = given.removeprefix("npm:").rpartition("@")[0] or given.removeprefix("npm:")
        version = project.pins.version(folder, name, given)
        return f"npm:{target}@{version}" if version else given
    if _ELSEWHERE.match(given):
        return None
    return project.pins.version(folder, name, given) or given


def _workspaces(globs: Iterable[str], paths: Collection[str]) -> list[str]:
    folders = sorted(path.removesuffix("/package.json") for path in paths if path.endswith("/package.json"))
    wanted = [glob.removeprefix("./").rstrip("/") for glob in globs]
    return [
        folder
        for folder in folders
        if any(_matches(folder, glob) for glob in wanted if not glob.startswith("!"))
        and not any(_matches(folder, glob[1:].removeprefix("./")) for glob in wanted if glob.startswith("!"))
        and _NOT_TESTED.isdisjoint(part.lower() for part in PurePosixPath(folder).parts)
    ]


def _matches(folder: str, glob: str) -> bool:
    return _parts_match(folder.split("/"), glob.split("/"))


def _parts_match(parts: Sequence[str], globs: Sequence[str]) -> bool:
    if not globs:
        return not parts
    if globs[0] == "**":
        return any(_parts_match(parts[start:], globs[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], globs[0]) and _parts_match(parts[1:], globs[1:])


def _catalogs(settings: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    named = settings.get("catalogs")
    found = dict(named) if isinstance(named, dict) else {}
    found["default"] = settings.get("catalog") or found.get("default") or {}
    return {
        str(catalog): {str(name): str(spec) for name, spec in ranges.items()}
        for catalog, ranges in found.items()
        if isinstance(ranges, dict)
    }


def _mapping(text: bytes | None) -> dict[str, Any]:
    try:
        data = yaml.load(text, Loader=yaml.CSafeLoader) if text else None
    except (yaml.YAMLError, RecursionError):
        data = None
    return data if isinstance(data, dict) else {}
