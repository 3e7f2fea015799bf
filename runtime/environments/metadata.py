"""The metadata of a repository's own distribution, which is on the path but not installed.

Its values come from untrusted files, so each is validated or kept to one line: a line break in a value would otherwise
start another header or group.
"""

import re

from packaging.version import Version

from runtime.environments.discovery import Project
from runtime.environments.findings import LONGEST_NAME


def pretend_version(tag: str | None) -> str:
    """The version in a tag (`v1.2.3` and `pkg-1.2.3` give `1.2.3`); "0" if there is none."""
    match = re.search(r"(?:^|[^\d.])v?(\d[\w.!+-]*)$", tag or "")
    if not match:
        return "0"
    try:
        version = str(Version(match.group(1)))
    except ValueError:  # also for a number that is too long
        return "0"
    return version if len(version) <= LONGEST_NAME else "0"


_GROUP = re.compile(r"\w+(?:[.-]\w+)*", re.ASCII)
_NAME = re.compile(r"[^\s=\[\]#;:][^=\[\]\x00-\x1f\x7f]*")
_TARGET = re.compile(r"[\w.]+(?:\s?:\s?[\w.]+)?(?:\s?\[[\w ,.-]*\])?")


def own_metadata(project: Project, version: str) -> dict[str, tuple[bytes, bool]]:
    """The files of `NAME-VERSION.dist-info`, relative to a folder that will be on the import path.

    `importlib.metadata` then finds the distribution, its version and its entry points (pytest plugins included).
    """
    folder = f"{project.name.replace('-', '_')}-{version}.dist-info"
    texts = {
        "METADATA": _metadata(project, version),
        "INSTALLER": "clean-room\n",
        "top_level.txt": "".join(f"{n}\n" for n in project.import_names if n.isidentifier()),
        "entry_points.txt": _entry_points(project),
    }
    texts["RECORD"] = "".join(f"{folder}/{name},,\n" for name in sorted([*texts, "RECORD"]))
    return {f"{folder}/{name}": (text.encode("utf-8"), False) for name, text in texts.items()}


def _metadata(project: Project, version: str) -> str:
    headers = [("Metadata-Version", "2.4"), ("Name", project.name), ("Version", version), *project.headers]
    if project.requires_python:
        headers.append(("Requires-Python", project.requires_python))
    headers += [("Requires-Dist", requirement) for requirement in project.runtime]
    headers += [("Provides-Extra", extra) for extra in project.extras]
    return "".join(f"{name}: {' '.join(str(value).split())}\n" for name, value in headers) + "\n"


def valid_entry_points(project: Project) -> list[tuple[str, str, str]]:
    """A project's entry points as (group, name, target), without those that no installer would accept."""
    return [
        (group, name, target)
        for group, name, target in project.entry_points
        if isinstance(target, str) and _GROUP.fullmatch(group) and _NAME.fullmatch(name) and _TARGET.fullmatch(target)
    ]


def own_plugins(project: Project, group: str) -> tuple[str, ...]:
    """Names of the plugins that a project registers in a group of entry points."""
    return tuple(sorted(name for each, name, _ in valid_entry_points(project) if each == group))


def _entry_points(project: Project) -> str:
    groups: dict[str, str] = {}
    for group, name, target in sorted(valid_entry_points(project)):
        groups[group] = f"{groups.get(group, '')}{name} = {target}\n"
    return "".join(f"[{group}]\n{members}\n" for group, members in groups.items())


def generated_files(project: Project, version: str) -> dict[str, str]:
    """Text by path of the version modules that a build would have written and that the packages may import."""
    release = ", ".join(map(str, Version(version).release))
    python = (
        f"__version__ = version = {version!r}\n__version_tuple__ = version_tuple = ({release},)\n"
        "__commit_id__ = commit_id = None\n"
    )
    return {path: python if path.endswith(".py") else f"{version}\n" for path in project.generated}
