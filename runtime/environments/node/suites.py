"""How the tests of a JavaScript repository's state are started, and what has to be generated before."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from repos.index.paths import SCRIPT, is_test_path
from repos.trees import files_and_links
from runtime.environments.node.laying import FOLDER, lay_packages
from runtime.environments.node.project import NodePackage, NodeProject, read_node_project
from runtime.sandbox import Mount
from runtime.testing import SuiteSetup
from runtime.testing.node_runner import NODE_TEST, NodeRunner, Script, encoded, find_script, named_configuration

_HOOKS = re.compile(r"(?:npx |pnpm exec )?(?:husky|lefthook|simple-git-hooks|is-ci|patch-package|skip)\b.*")
_QUOTED = re.compile(r"""['"]([^'"\n]{1,200})['"]""")
_LARGEST = 1 << 20  # bytes of a test file that is read for its imports
_ENTRY_KEYS = ("main", "module", "browser")


def project_on_disk(tree: Path) -> NodeProject | None:
    """The packages of a tree on disk; None without a package.json."""
    known = frozenset(_paths(tree))
    return read_node_project(lambda path: (tree / path).read_bytes() if path in known else None, sorted(known))


def script_of(project: NodeProject | None) -> tuple[Script, str]:
    """The call of the test runner, and the folder of the package whose script it is: the root's, else that of the only
    workspace that has one. Where none is known, Node.js's own runner."""
    if project is None:
        return Script(NODE_TEST), ""
    if (found := find_script(project.root.data)) is not None:
        return found, ""
    below = [(script, each.folder) for each in project.workspaces if (script := find_script(each.data)) is not None]
    return below[0] if len(below) == 1 else (Script(NODE_TEST), "")


def configured_by_scripts(project: NodeProject | None) -> frozenset[str]:
    """The paths that the scripts of a project's packages name as files of configuration."""
    packages = project.packages if project is not None else ()
    return frozenset[str]().union(*(named_configuration(each.data, each.folder) for each in packages))


def node_setup(tree: Path, node: Path, prefix: Path) -> SuiteSetup:
    """How the tests of a tree are started with an environment, whose packages are made visible in the tree."""
    script, folder = script_of(project_on_disk(tree))
    lay_packages(tree, prefix)
    return SuiteSetup(
        python=node,
        mounts=(Mount(prefix, prefix),),
        import_roots=(),
        command=encoded(script),
        runner=NodeRunner.name,
        folder=folder,
    )


def scripts_before(tree: Path) -> list[tuple[str, str]]:
    """(Folder, script) of what has to be run before the tests: `prepare`, where it generates files, and `build` where
    a test imports an entry of a package that is not there."""
    project = project_on_disk(tree)
    if project is None:
        return []
    paths = frozenset(_paths(tree))
    found = []
    prepare = project.root.table("scripts").get("prepare")
    if isinstance(prepare, str) and not _HOOKS.fullmatch(prepare.strip()):
        found.append(("", "prepare"))
    imported = _imported(tree, paths)
    built = (
        each for each in (*project.workspaces, project.root) if isinstance(each.table("scripts").get("build"), str)
    )
    return [*found, *((each.folder, "build") for each in built if _is_missed(each, paths, imported))]


def _is_missed(package: NodePackage, paths: frozenset[str], imported: frozenset[str]) -> bool:
    """Whether no entry of a package is there and tests import one: by its path, its folder, or the package's name."""
    entries = {_join(package.folder, entry) for entry in _entries(package.data)}
    plain = {entry for entry in entries if "*" not in entry}
    if not plain or any(entry in paths for entry in plain):
        return False
    names = {package.name, f"./{package.folder or '.'}"}
    names |= {f"./{entry}" for entry in plain} | {f"./{PurePosixPath(entry).with_suffix('')}" for entry in plain}
    names |= {f"./{parent}" for entry in plain for parent in [PurePosixPath(entry).parent] if str(parent) != "."}
    return not names.isdisjoint(imported)


def _entries(data: Mapping[str, Any]) -> Iterator[str]:
    for key in _ENTRY_KEYS:
        if isinstance(data.get(key), str):
            yield data[key]
    pending: list[Any] = [data.get("exports")]
    while pending:
        each = pending.pop()
        if isinstance(each, str) and each.endswith(SCRIPT) and not each.endswith((".d.ts", ".d.mts", ".d.cts")):
            yield each
        elif isinstance(each, dict):
            pending += [value for key, value in each.items() if key != "types"]
        elif isinstance(each, list):
            pending += each


def _imported(tree: Path, paths: frozenset[str]) -> frozenset[str]:
    """What test files quote: names of packages, and paths as `./path` relative to the tree."""
    found: set[str] = set()
    for path in paths:
        if not is_test_path(path) or not path.endswith(SCRIPT) or (tree / path).stat().st_size > _LARGEST:
            continue
        for quoted in _QUOTED.findall((tree / path).read_text("utf-8", "replace")):
            found.add(f"./{_join(str(PurePosixPath(path).parent), quoted)}" if quoted.startswith(".") else quoted)
    return frozenset(found)


def _join(folder: str, path: str) -> str:
    parts: list[str] = []
    for part in (*folder.split("/"), *path.split("/")):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", ".", ".."):
            parts.append(part)
    return "/".join(parts) or "."


def _paths(tree: Path) -> Iterator[str]:
    return (path for path, link in files_and_links(tree) if not link and FOLDER not in path.split("/"))
