"""What an installation of a repository's distribution gives, expressed over its sources.

The sources stay where they are, so that a change to them counts without building again. Folders of sources whose
modules a wheel contains byte for byte go on the import path; every other file of the wheel (generated modules, compiled
translations, extension modules, files under another name) is added, as are the distribution's metadata and its scripts.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from repos.index.paths import is_test_path
from runtime.environments.discovery import Project
from runtime.environments.metadata import generated_files, own_metadata, valid_entry_points
from runtime.environments.provided import declares_namespace

_NOT_PACKAGED = re.compile(
    r"(?:docs?|\.github|\.circleci|changelog\.d|changelogs?|news|newsfragments|examples?|bench|benchmarks)"
    r"|(?:CHANGE|HISTORY|NEWS)\w*(?:\.\w+)?|\.pre-commit-config\.yaml|\.readthedocs\.ya?ml",
    re.I,
)
_PACKAGING = ("pyproject.toml", "setup.cfg", "setup.py", "MANIFEST.in", "hatch.toml", "meson.build", "CMakeLists.txt")
_VERSION = re.compile(rb"^\s*_{0,2}version(?:_info|_tuple)?_{0,2}\s*[:=]", re.I | re.M)
_VERSION_BYTES = 4096
"""Largest module that is taken for one that states the version."""
_METADATA = ".dist-info"
_ENTRY_POINT = re.compile(r"[\w.]+:[\w.]+")


Files = dict[str, tuple[bytes, bool]]
"""Files by path: content, and whether it is executable."""


@dataclass(frozen=True)
class Installation:
    """`import_roots` are folders of the tree, relative to it; `additions` are files to write into the tree; `site`
    holds files of a further folder on the import path: metadata, and modules that no source is equal to. `scripts` are
    the commands' names with their entry points (`module:function`), or the texts of files that are scripts themselves.

    `modules` are the dotted names of the outermost packages and modules, `namespaces` those of packages that are shared
    with other distributions by start-up code (`-nspkg.pth`), each with its folder in the tree. `inputs` are the SHA-256
    of those Python files of the tree, by path, that may change what a build gives. `of_commit` says that it
    comes from the build of a commit, not of a candidate.
    """

    import_roots: tuple[str, ...]
    additions: Files
    site: Files
    scripts: Mapping[str, str]
    modules: tuple[str, ...]
    inputs: Mapping[str, str]
    namespaces: Mapping[str, str] = field(default_factory=dict)
    of_commit: bool = False


def installation_from_sources(project: Project, version: str) -> Installation:
    """The installation of a distribution of pure Python as far as its packaging files tell it, without a build."""
    points = (f"{name} = {target}" for g, name, target in valid_entry_points(project) if g == "console_scripts")
    generated = generated_files(project, version)
    return Installation(
        import_roots=project.import_roots,
        additions={path: (text.encode(), False) for path, text in generated.items()},
        site=own_metadata(project, version),
        scripts=commands("\n".join(["[console_scripts]", *points])),
        modules=_below_namespaces(project),
        inputs={},
        namespaces=dict(project.namespaces),
    )


def _below_namespaces(project: Project) -> tuple[str, ...]:
    """The import names; in place of a namespace that other distributions may share, what the project has below it."""
    found: set[str] = set()
    for name in project.import_names:
        below = {each for each in project.modules if each.startswith(f"{name}.")}
        found |= below if below and name not in project.modules else {name}
    return tuple(sorted(found))


def packaging_key(tree: Mapping[str, bytes]) -> str:
    """Hash of all files of a tree that may change what a build gives, less its Python files.

    Tests do not count, nor do files for readers that no packaging file mentions.
    """
    mentioned = b"\0".join(content for path, content in tree.items() if path in _PACKAGING).decode(errors="replace")
    digest = hashlib.sha256()
    for path, content in sorted(tree.items()):
        first = path.split("/")[0]
        if path.endswith(".py") or is_test_path(path):
            continue
        if _NOT_PACKAGED.fullmatch(first) and first not in mentioned:
            continue
        digest.update(f"{path}\0{hashlib.sha256(content).hexdigest()}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def still_holds(installation: Installation, tree: Mapping[str, bytes]) -> bool:
    """Whether an installation of a tree with the same `packaging_key` is also one of this tree."""
    inputs = installation.inputs.items()
    return all(path in tree and hashlib.sha256(tree[path]).hexdigest() == digest for path, digest in inputs)


def tree_key(tree: Mapping[str, bytes]) -> str:
    """Hash of all files of a tree."""
    digest = hashlib.sha256()
    for path, content in sorted(tree.items()):
        digest.update(f"{path}\0{hashlib.sha256(content).hexdigest()}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def installation_of(wheel: Mapping[str, bytes], tree: Mapping[str, bytes], hints: Sequence[str] = ()) -> Installation:
    """The installation that a wheel's files (by path) give over the tree that it was built from.

    `hints` are import roots in the order that is preferred where several fit equally well.
    """
    site, scripts, packaged = _sorted_out(wheel)
    roots = _roots(packaged, tree, hints)
    additions: Files = {}
    verbatim: set[str] = set()
    placed: set[str] = set()
    for path, content in packaged.items():
        root = roots.get(path.split("/")[0])
        if root is None:
            if not is_test_path(path) and not path.endswith(".pth"):  # no such file is read there
                site[path] = (content, False)
            continue
        target = f"{root}/{path}" if root else path
        if tree.get(target) == content:
            verbatim.add(target)
            placed.add(path)
        elif not is_test_path(target):
            additions[target] = (content, False)
    return Installation(
        import_roots=tuple(dict.fromkeys(roots[name] for name in _by_hint(roots, hints))),
        additions=additions,
        site=site,
        scripts=scripts,
        modules=_modules(packaged),
        inputs=_inputs(tree, verbatim, made=[content for path, content in packaged.items() if path not in placed]),
        namespaces=_namespaces(wheel, roots),
    )


def _namespaces(wheel: Mapping[str, bytes], roots: Mapping[str, str]) -> dict[str, str]:
    """Folders of the shared namespaces that setuptools declares for a wheel, by dotted name."""
    if not any(path.endswith("-nspkg.pth") and "/" not in path for path in wheel):
        return {}
    names = [
        line.strip()
        for path, content in wheel.items()
        if path.endswith(".dist-info/namespace_packages.txt")
        for line in content.decode(errors="replace").splitlines()
    ]
    valid = [name for name in names if name and all(part.isidentifier() for part in name.split("."))]
    return {
        name: "/".join(filter(None, [roots[name.split(".")[0]], *name.split(".")]))
        for name in valid
        if name.split(".")[0] in roots
    }


_COMMAND = """\
import sys
sys.path[1:1] = [path for path in {paths!r} if path not in sys.path]
import importlib
target = importlib.import_module({module!r})
for name in {function!r}.split("."):
    target = getattr(target, name)
sys.argv[0] = {name!r}
sys.exit(target())
"""


_SHARED = """\
import os, sys, types
for name, folder in {folders!r}:
    module = sys.modules.setdefault(name, types.ModuleType(name))
    installed = [os.path.join(place, *name.split(".")) for place in sys.path]
    known = [*module.__dict__.get("__path__", []), *filter(os.path.isdir, installed)]
    module.__path__ = list(dict.fromkeys([folder, *known]))
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
"""


def start_up(installation: Installation, tree: str) -> Files:
    """The module that shares an installation's namespaces when an interpreter starts, as its `-nspkg.pth` would beside
    those of the environment; the tree is at `tree` then. Nothing without namespaces."""
    folders = [(name, f"{tree}/{folder}") for name, folder in sorted(installation.namespaces.items())]
    return {"sitecustomize.py": (_SHARED.format(folders=folders).encode(), False)} if folders else {}


def scripts_of(installation: Installation, python: Path, paths: Sequence[str]) -> Files:
    """The scripts of an installation, to be run by `python` with `paths` on the import path.

    A shell starts the interpreter, whose path may be longer than a script's first line may be.
    """
    start = f"#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''\n"
    found: Files = {}
    for name, source in installation.scripts.items():
        if _ENTRY_POINT.fullmatch(source):
            module, _, function = source.partition(":")
            text = start + _COMMAND.format(paths=list(paths), module=module, function=function, name=name)
        elif re.match(r"#!\s*python|#!.*/(?:env )?python[\d.]*w?\s", source):
            text = start + source.partition("\n")[2]
        else:
            text = source
        found[name] = (text.encode(), True)
    return found


def _by_hint(roots: Mapping[str, str], hints: Sequence[str]) -> list[str]:
    order = {root: place for place, root in enumerate(hints)}
    return sorted(roots, key=lambda name: (order.get(roots[name], len(order)), roots[name], name))


def _sorted_out(wheel: Mapping[str, bytes]) -> tuple[Files, dict[str, str], dict[str, bytes]]:
    """A wheel's metadata, its scripts, and its other files by their place in site-packages."""
    site: Files = {}
    scripts: dict[str, str] = {}
    packaged: dict[str, bytes] = {}
    for path, content in wheel.items():
        first, _, rest = path.partition("/")
        if first.endswith(_METADATA):
            site[path] = (content, False)
            if rest == "entry_points.txt":
                scripts |= commands(content.decode(errors="replace"))
        elif first.endswith(".data"):
            kind, _, inner = rest.partition("/")
            if kind in ("purelib", "platlib"):
                packaged[inner] = content
            elif kind == "scripts" and "/" not in inner and b"\0" not in content:
                scripts[inner] = content.decode(errors="replace")
        else:
            packaged[path] = content
    return site, scripts, packaged


def commands(entry_points: str) -> dict[str, str]:
    """Names and entry points (`module:function`) of the commands in the text of an `entry_points.txt`."""
    found: dict[str, str] = {}
    group = ""
    for line in entry_points.splitlines():
        header = re.fullmatch(r"\s*\[\s*(.+?)\s*\]\s*", line)
        if header:
            group = header.group(1)
        elif group in ("console_scripts", "gui_scripts") and "=" in line:
            name, _, target = line.partition("=")
            target = re.sub(r"\s*\[.*", "", target).strip()
            if _ENTRY_POINT.fullmatch(target) and re.fullmatch(r"[\w.+-]+", name.strip()):
                found[name.strip()] = target
    return found


def _roots(packaged: Mapping[str, bytes], tree: Mapping[str, bytes], hints: Sequence[str]) -> dict[str, str]:
    """For each top-level name of a wheel, the folder of the tree under which most of its files lie unchanged; names
    of which no file does are left out."""
    by_name: dict[str, list[str]] = {}
    for path in tree:
        by_name.setdefault(path.rpartition("/")[2], []).append(path)
    counted: dict[str, Counter[str]] = {}
    for path, content in packaged.items():
        for candidate in by_name.get(path.rpartition("/")[2], ()):
            if (candidate == path or candidate.endswith(f"/{path}")) and tree[candidate] == content:
                root = candidate[: len(candidate) - len(path)].rstrip("/")
                counted.setdefault(path.split("/")[0], Counter())[root] += 1
    order = {root: place for place, root in enumerate(hints)}
    return {
        name: min(counts, key=lambda root: (-counts[root], order.get(root, len(order)), len(root), root))
        for name, counts in counted.items()
    }


def _modules(packaged: Mapping[str, bytes]) -> tuple[str, ...]:
    """Dotted names of the outermost packages with an `__init__` module, and of modules beside or above them.

    A package whose `__init__` declares a namespace is shared with other distributions: what is below it counts.
    """
    shared = {
        path
        for path, content in packaged.items()
        if path.endswith("/__init__.py") and declares_namespace(content.decode(errors="replace"))
    }
    found_in = [path for path in packaged if path.endswith((".py", ".so")) and path not in shared]
    stems = {path: PurePosixPath(path).name.split(".")[0] for path in found_in}
    packages = {path.rpartition("/")[0] for path, stem in stems.items() if stem == "__init__"}
    found: set[str] = set()
    for path, stem in stems.items():
        parts = path.split("/")[:-1]
        outermost = next((n for n in range(1, len(parts) + 1) if "/".join(parts[:n]) in packages), None)
        dotted = parts[:outermost] if outermost else [*parts, stem]
        if all(part.isidentifier() for part in dotted):
            found.add(".".join(dotted))
    return tuple(sorted(found))


def _inputs(tree: Mapping[str, bytes], verbatim: set[str], made: Sequence[bytes]) -> dict[str, str]:
    """Hashes of the Python files that may change a build.

    Where a build makes nothing but modules that state a version, these are the files that are not packaged as they are,
    and those that seem to state the version. Where it makes anything else, it may do so by running any Python file.
    """
    every = any(len(content) > _VERSION_BYTES or not _VERSION.search(content) for content in made)
    found = {}
    for path, content in tree.items():
        if not path.endswith(".py") or is_test_path(path) or _NOT_PACKAGED.fullmatch(path.split("/")[0]):
            continue
        if every or path not in verbatim or _VERSION.search(content):
            found[path] = hashlib.sha256(content).hexdigest()
    return found
