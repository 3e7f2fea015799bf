"""The metadata of a repository's own distribution, which is on the path but not installed."""

import re
from pathlib import Path

from packaging.version import InvalidVersion, Version

from harness.environments.discovery import Project


def pretend_version(tag: str | None) -> str:
    """The version that a tag names (`v1.2.3` and `pkg-1.2.3` give `1.2.3`); "0" if it names none."""
    match = re.search(r"(?:^|[^\d.])v?(\d[\w.!+-]*)$", tag or "")
    if not match:
        return "0"
    try:
        return str(Version(match.group(1)))
    except InvalidVersion:
        return "0"


def write_own_metadata(project: Project, version: str, directory: Path) -> None:
    """Write `NAME-VERSION.dist-info` into a directory that will be on the import path.

    `importlib.metadata` then knows the distribution, its version and its entry points (pytest plugins
    included).
    """
    name = project.name.replace("-", "_")
    folder = directory / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(_metadata(project, version), encoding="utf-8")
    (folder / "INSTALLER").write_text("clean-room\n")
    (folder / "top_level.txt").write_text("".join(f"{n}\n" for n in project.import_names))
    (folder / "entry_points.txt").write_text(_entry_points(project), encoding="utf-8")
    files = sorted([*folder.iterdir(), folder / "RECORD"])
    (folder / "RECORD").write_text("".join(f"{folder.name}/{file.name},,\n" for file in files))


def _metadata(project: Project, version: str) -> str:
    headers = [("Metadata-Version", "2.4"), ("Name", project.name), ("Version", version), *project.headers]
    if project.requires_python:
        headers.append(("Requires-Python", project.requires_python))
    headers += [("Requires-Dist", requirement) for requirement in project.runtime]
    headers += [("Provides-Extra", extra) for extra in project.extras]
    return "".join(f"{name}: {value}\n" for name, value in headers) + "\n"


def _entry_points(project: Project) -> str:
    text = ""
    for group in sorted({group for group, _, _ in project.entry_points}):
        members = [f"{name} = {target}\n" for held, name, target in project.entry_points if held == group]
        text += f"[{group}]\n{''.join(members)}\n"
    return text


def generated_files(project: Project, version: str) -> dict[str, str]:
    """Text by path of the version modules that a build would have written and that the packages may
    import."""
    release = ", ".join(map(str, Version(version).release))
    python = (
        f"__version__ = version = {version!r}\n__version_tuple__ = version_tuple = ({release},)\n"
        "__commit_id__ = commit_id = None\n"
    )
    return {path: python if path.endswith(".py") else f"{version}\n" for path in project.generated}
