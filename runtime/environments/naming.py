"""The name of a distribution where neither `pyproject.toml` nor setuptools' files give it."""

import re
from collections import Counter
from email.parser import HeaderParser

from packaging.utils import canonicalize_name

from runtime.environments.findings import Findings, may_be_name
from runtime.environments.imports import distributions
from runtime.environments.malformed import as_written, table
from runtime.environments.tree import PathTree, is_test

NAMING = ("PKG-INFO", "/METADATA", "meson.build")
"""Suffixes of the files that are read only here."""
UNNAMED = "project"
_MESON = re.compile(r"^\s*project\s*\(\s*'([^']+)'", re.MULTILINE)
_INSTALL = re.compile(
    r"(?:pip|pipx|uv|poetry|pdm|conda)3? (?:pip )?(?:install|add)\s+(?:-U\s+|--upgrade\s+)?([A-Za-z][\w.-]*)"
)


def read_other_names(tree: PathTree, findings: Findings) -> None:
    """Add the names in metadata of an earlier build, Cargo's and Meson's files, as the build back ends would use them.

    `PKG-INFO` always counts; a Cargo or Meson project's name is used only where there is no other.
    """
    for path in tree.paths:
        if _is_metadata(path):
            as_written(lambda path: findings.named(HeaderParser().parsestr(tree.text(path)).get("Name")), path)
    if findings.name:
        return
    for path in ("Cargo.toml", "rust/Cargo.toml"):
        findings.named(table(tree.toml(path), "package").get("name"))
    if match := _MESON.search(tree.text("meson.build")):
        findings.named(match[1])


def _is_metadata(path: str) -> bool:
    """Whether a file is a distribution's metadata next to its packages, not a sample for tests."""
    folder, _, name = path.rpartition("/")
    if is_test(path) or folder.count("/") > 1:
        return False
    return (name == "PKG-INFO" and (not folder or folder.endswith(".egg-info"))) or (
        name == "METADATA" and folder.endswith(".dist-info")
    )


def name_by_imports(tree: PathTree, import_names: tuple[str, ...]) -> str:
    """The likeliest name of a distribution that no file names: one in the install commands of its documents that fits
    one of its import names, or the only import name; `project` if there is none."""
    documents = [path for path in tree.paths if "/" not in path and path.lower().startswith("readme")]
    installed = [name for path in documents for name in _INSTALL.findall(tree.text(path)) if may_be_name(name)]
    hints = Counter(str(canonicalize_name(name)) for name in installed)
    fitting = distributions(import_names, hints)
    if fitting:
        return max(sorted(fitting), key=lambda name: hints[name])
    only = import_names[0] if len(import_names) == 1 else ""
    return canonicalize_name(only) if may_be_name(only) else UNNAMED
