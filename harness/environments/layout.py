"""Where a repository's packages lie, and whether they must be built."""

from pathlib import PurePosixPath

from packaging.utils import canonicalize_name

from harness.environments.findings import Findings
from harness.environments.tree import Tree, is_test

_NOT_PACKAGES = {
    "benchmark", "benchmarks", "bench", "build", "ci", "dist", "doc", "docs", "example", "examples",
    "scripts", "test", "testing", "tests", "tools", "typing_tests", "venv", "samples", "demo", "demos",
    "stubs", "typings",
}  # fmt: skip
_NOT_MODULES = {
    "setup",
    "conftest",
    "noxfile",
    "tasks",
    "fabfile",
    "dodo",
    "manage",
    "versioneer",
    "docs",
    "conf",
}
_SOURCE_FOLDERS = ("src", "lib", "python")


def import_roots(tree: Tree, findings: Findings) -> tuple[str, ...]:
    """Folders to put on the import path, "" for the repository's own; what the packaging files say comes
    first."""
    folders = {str(parent) for path in tree.paths if path.endswith(".py") for parent in PurePosixPath(path).parents}
    said = [root.strip().strip("/").removeprefix("./") for root in findings.roots]
    roots = ["" if root == "." else root for root in said if root in folders or root in ("", ".")]
    roots += [root for root in _SOURCE_FOLDERS if _packages(tree, root)]
    if not roots or (_own_package(findings) in _packages(tree, "")):
        roots.append("")
    return tuple(dict.fromkeys(roots))


def _own_package(findings: Findings) -> str:
    return canonicalize_name(findings.name).replace("-", "_")


def _packages(tree: Tree, root: str) -> set[str]:
    prefix = f"{root}/" if root else ""
    found = set()
    for path in tree.paths:
        if path.startswith(prefix) and path.endswith((".py", ".pyx")):
            parts = path[len(prefix) :].split("/")
            if len(parts) == 2 and parts[1].startswith("__init__."):
                found.add(parts[0])
    return found if root else {name for name in found if name not in _NOT_PACKAGES and not name.startswith(".")}


def import_names(tree: Tree, findings: Findings, roots: tuple[str, ...]) -> tuple[str, ...]:
    """Top-level packages and modules that the repository provides, sorted."""
    own = _own_package(findings)
    names = set(findings.modules)
    for root in roots:
        names |= _packages(tree, root)
        prefix = f"{root}/" if root else ""
        for path in tree.paths:
            if path.startswith(prefix) and path.endswith(".py"):
                parts = path[len(prefix) :].split("/")
                stem = parts[0].removesuffix(".py")
                module = len(parts) == 1 and stem not in _NOT_MODULES and (root or stem == own)
                namespace = len(parts) > 2 and stem == own
                if (module or namespace) and not is_test(path) and stem.isidentifier():
                    names.add(stem)
    return tuple(sorted(names))


def needs_build(tree: Tree, findings: Findings) -> bool:
    """Whether extension modules must be compiled before the packages can be imported."""
    sources = any(path.endswith(".pyx") and not is_test(path) for path in tree.paths)
    return findings.extension_modules or sources
