"""Exact versions pinned by a repository's own lock."""

import json
import re
from typing import Any

from packaging.utils import canonicalize_name

from runtime.environments.findings import Findings
from runtime.environments.malformed import as_written, readable, table
from runtime.environments.tree import PathTree


def read_locks(tree: PathTree, findings: Findings) -> None:
    """Add the pins of `uv.lock`, `poetry.lock`, `pdm.lock` and `Pipfile.lock`."""
    for path in ("uv.lock", "poetry.lock", "pdm.lock"):
        packages = tree.toml(path).get("package", [])
        for package in packages if isinstance(packages, list) else []:
            as_written(_pin, package, findings)
    pipfile = readable(json.loads, {}, tree.text("Pipfile.lock") or "{}")
    for part in ("default", "develop"):
        for name, entry in table(pipfile, part).items():
            if isinstance(entry, dict) and isinstance(entry.get("version"), str) and entry["version"].startswith("=="):
                findings.pins.setdefault(canonicalize_name(name), set()).add(entry["version"][2:])


def _pin(package: dict[str, Any], findings: Findings) -> None:
    source = package.get("source", {})
    local = isinstance(source, dict) and {"editable", "virtual", "directory", "path", "git"} & set(source)
    if "name" in package and "version" in package and not local:
        findings.pins.setdefault(canonicalize_name(package["name"]), set()).add(str(package["version"]))


def unambiguous(findings: Findings) -> tuple[str, ...]:
    """`name==version` for every distribution with one version in the locks, sorted."""
    names = {canonicalize_name(name): versions for name, versions in findings.pins.items()}
    own = canonicalize_name(findings.name)
    pinned = {name: next(iter(v)) for name, v in names.items() if len(v) == 1 and name != own}
    return tuple(f"{name}=={v}" for name, v in sorted(pinned.items()) if re.fullmatch(r"[\w.!+-]+", v))
