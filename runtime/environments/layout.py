"""Layout of a repository: the folders of its packages, and whether they must be built."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath

from packaging.utils import canonicalize_name

from runtime.environments.findings import Findings
from runtime.environments.provided import OTHER_FOLDERS, declares_namespace, modules_of
from runtime.environments.tree import PathTree, is_test

_DECLARED = re.compile(r"declare_namespace\s*\(\s*__name__")

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
_ROOT_FOLDERS = {*_SOURCE_FOLDERS, "source", "sources", "code", "pkg", "package", "packages", "library", "libs", "py"}
_NOT_THEIR_OWN = {
    *OTHER_FOLDERS,
    "_vendor",
    "_vendored",
    "vendor",
    "vendored",
    "third_party",
    "extern",
    "site-packages",
}
_COMMON_MODULES = {
    *_NOT_MODULES,
    "version",
    "_version",
    "utils",
    "util",
    "main",
    "app",
    "config",
    "run",
    "cli",
    "types",
}


def import_roots(tree: PathTree, findings: Findings) -> tuple[str, ...]:
    """Folders to put on the import path, "" for the repository's own; those of the packaging files come first."""
    folders = {str(parent) for path in tree.paths if path.endswith(".py") for parent in PurePosixPath(path).parents}
    declared = [root.strip().strip("/").removeprefix("./") for root in findings.roots]
    roots = ["" if root == "." else root for root in declared if root in folders or root in ("", ".")]
    roots += [root for root in _SOURCE_FOLDERS if _packages(tree, root)]
    if not roots or (_own_package(findings) in _packages(tree, "")):
        roots.append("")
    return tuple(dict.fromkeys(roots))


def _own_package(findings: Findings) -> str:
    return canonicalize_name(findings.name).replace("-", "_")


def _packages(tree: PathTree, root: str) -> set[str]:
    prefix = f"{root}/" if root else ""
    found = set()
    for path in tree.paths:
        if path.startswith(prefix) and path.endswith((".py", ".pyx")):
            parts = path[len(prefix) :].split("/")
            if len(parts) == 2 and parts[1].startswith("__init__."):
                found.add(parts[0])
    return found if root else {name for name in found if name not in OTHER_FOLDERS and not name.startswith(".")}


def import_names(tree: PathTree, findings: Findings, roots: tuple[str, ...]) -> tuple[str, ...]:
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


def provided_modules(tree: PathTree, roots: tuple[str, ...], import_names: tuple[str, ...]) -> tuple[str, ...]:
    """Dotted names of the packages and modules that a work tree provides, sorted; rather too many than too few.

    Where the packaging files do not declare where packages are, as they may compute it, each outermost package counts
    whose folder may be on the import path: at the repository's root, in a folder of sources, or next to the largest
    one. Where no import name is known, a package in any folder of the repository counts.
    """
    texts = {path: tree.text(path) if path.endswith("/__init__.py") else "" for path in tree.paths if _own(path)}
    found: set[str] = set()
    for root in {*roots, ""}:
        prefix = f"{root}/" if root else ""
        inner = {path[len(prefix) :]: text for path, text in texts.items() if path.startswith(prefix)}
        found |= {name for name in modules_of(inner) if root or "." in name or name not in _COMMON_MODULES}
    outermost = Counter(_outermost_package(path, texts) for path in texts)
    del outermost[""]
    largest = max(sorted(outermost), key=outermost.__getitem__, default="").rpartition("/")[0]
    for package in outermost:
        above, _, name = package.rpartition("/")
        if above in ("", largest) or ("/" not in above and not import_names):
            found.add(name)
        found.add(_below_root(package))
    return tuple(sorted(name for name in found if all(part.isidentifier() for part in name.split("."))))


def shared_namespaces(tree: PathTree, roots: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Dotted names, with folders, of packages that pkg_resources shares with other distributions, sorted; each with all
    packages above it."""
    found: dict[str, str] = {}
    for root in roots:
        prefix = f"{root}/" if root else ""
        for path in sorted(tree.paths, key=lambda path: path.count("/")):
            folder = path.removesuffix("/__init__.py")
            if folder == path or not path.startswith(prefix) or is_test(path):
                continue
            name = folder[len(prefix) :].replace("/", ".")
            above = name.rpartition(".")[0]
            if (
                name.split(".")[-1].isidentifier()
                and (not above or above in found)
                and _DECLARED.search(tree.text(path))
            ):
                found.setdefault(name, folder)
    return tuple(sorted(found.items()))


def _own(path: str) -> bool:
    return path.endswith((".py", ".so")) and not is_test(path) and _NOT_THEIR_OWN.isdisjoint(path.split("/")[:-1])


def _outermost_package(path: str, files: Mapping[str, str]) -> str:
    """The folder of the outermost package around a file, below those that declare a namespace; "" if there is none."""
    inits = [(str(parent), f"{parent}/__init__.py") for parent in PurePosixPath(path).parents]
    inside = [folder for folder, init in inits if init in files and not declares_namespace(files[init])]
    return inside[-1] if inside else ""


def _below_root(package: str) -> str:
    """The dotted name of a package by the folders above it, up to one that cannot be a package or is a source root."""
    parts = package.split("/")
    roots = [n for n, part in enumerate(parts[:-1], 1) if part in _ROOT_FOLDERS or not part.isidentifier()]
    return ".".join(parts[roots[-1] if roots else 0 :])


def needs_build(tree: PathTree, findings: Findings) -> bool:
    """Whether extension modules must be compiled before the packages can be imported."""
    sources = any(path.endswith(".pyx") and not is_test(path) for path in tree.paths)
    return findings.extension_modules or sources
