"""Validation of what was read from packaging files: types, encodability, lengths.

Readers take values as they are in untrusted files. Values of the wrong type, that cannot be encoded, or names that are
too long are dropped here, so that later code never sees them.
"""

import posixpath
from collections.abc import Collection, Iterable

from repos.trees import inside
from runtime.environments.findings import LONGEST_NAME, Findings
from runtime.environments.tree import is_test
from runtime.testing import RUNNERS

_STEERING = {*(name for runner in RUNNERS.values() for name in runner.configuration_files), "setup.py", "conftest.py"}
_LONGEST_COMPONENT = 200
"""Longest path component in bytes: below the limit of file systems, as some tools add to names."""


def clean(findings: Findings) -> None:
    """Drop values of the wrong type, that UTF-8 cannot encode, and names that are too long."""
    findings.name = findings.name if _is_name(findings.name) else ""
    for field in ("requires_python", "backend"):
        setattr(findings, field, _text(getattr(findings, field)))
    for field in ("runtime", "build", "backend_path", "tests", "mentioned", "roots", "version_files"):
        setattr(findings, field, _texts(getattr(findings, field)))
    for field in ("aliases", "modules"):
        setattr(findings, field, _names(getattr(findings, field)))
    findings.extras, findings.wanted = set(_names(findings.extras)), set(_names(findings.wanted))
    findings.groups = {name: _texts(declared) for name, declared in findings.groups.items() if _is_name(name)}
    findings.pins = {name: set(_texts(declared)) for name, declared in findings.pins.items() if _is_name(name)}
    findings.headers = [pair for pair in findings.headers if all(map(_is_text, pair))]
    findings.entry_points = {
        group: {name: target for name, target in points.items() if _is_name(name) and _is_text(target)}
        for group, points in findings.entry_points.items()
        if _is_name(group)
    }


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _is_text(value) and len(value) <= LONGEST_NAME


def _text(value: str) -> str:
    return value if _is_text(value) else ""


def _texts(values: Iterable[str]) -> list[str]:
    return [value for value in values if _is_text(value)]


def _names(values: Iterable[str]) -> list[str]:
    return [value for value in values if _is_name(value)]


def generated_paths(declared: Iterable[str], paths: Collection[str]) -> tuple[str, ...]:
    """Paths that a build writes, according to packaging files, and that may be written into a tree, sorted.

    Excluded are paths that the tree has, or that conflict with one of its files or folders, and paths that belong to
    the tests or configure their runner.
    """
    folders = {parent for path in paths for parent in _parents(path)}
    taken = {*paths, *folders}
    normal = {posixpath.normpath(path) for path in declared if inside(path)}
    return tuple(sorted(path for path in normal if path not in taken and _may_be_written(path, paths)))


def _may_be_written(path: str, paths: Collection[str]) -> bool:
    parts = path.split("/")
    return (
        inside(path)
        and not is_test(path)
        and parts[-1].lower() not in _STEERING
        and max(len(part.encode()) for part in parts) <= _LONGEST_COMPONENT
        and not any(parent in paths for parent in _parents(path))
    )


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]
