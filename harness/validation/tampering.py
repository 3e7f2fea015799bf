"""Changes of a candidate that would decide the result of a test run instead of its code.

A file can do so by being found in place of another: a module of the runner or the standard library, a distribution's
metadata, a list of import paths. Configuration can do so by naming options and plugins. Both are refused before
anything runs. For what code does while tests run, see `harness.validation.confirmation`.
"""

import sys
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import CleanRoomError
from models.files import Overlay
from models.manifest import Instance
from repos.git import Git
from repos.trees import files_and_links
from runtime.environments import discover, valid_entry_points
from runtime.testing import PYTEST, RUNNERS, FileReader

RUNNER_MODULES = frozenset[str]().union(*(runner.modules for runner in RUNNERS.values()))
"""Modules that decide what a test run says. A candidate may not put its own in their place."""

_MODULES = (".py", ".so", ".pyc", ".pyd")
_METADATA = (".dist-info", ".egg-info", ".egg", ".egg-link", ".pth")
_STEERING = {*PYTEST.configuration_files, "setup.py"}


_ALONE = ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml")
"""Files that configure the runner by being there, whatever they hold."""


class Tampered(CleanRoomError):
    """A candidate's change decides the result of the test run instead of its code."""


def refuse_stand_ins(
    before: Collection[str], changes: Overlay, roots: Collection[str], installed: Collection[str] = ()
) -> None:
    """Raise Tampered for a file that Python would import instead of the runner's, the standard library's, or an
    environment's.

    `before` are the base's paths: a module that exists there already (a backport, the runner's own repository) may be
    changed. `roots` are import roots relative to the tree, `installed` the modules of the environment.
    """
    places = {PurePosixPath(root) for root in ("", *roots)}
    known = {place for path in before for place in _imported_as(path, places)}
    foreign = RUNNER_MODULES | (sys.stdlib_module_names - {"test"}) | frozenset(installed)
    for path in sorted(path for path, content in changes.items() if content is not None):
        if path.endswith((".pyc", ".pyo")) or "__pycache__" in path.split("/"):
            raise Tampered(f"{path} would be run in place of a source file")
        if _is_metadata(path, places):
            raise Tampered(f"{path} would be taken for the metadata of a distribution, or for a list of import paths")
        for place, name in _imported_as(path, places):
            if (place, name) not in known and name in foreign:
                raise Tampered(f"{path} would stand in for the module {name}")


def _is_metadata(path: str, places: set[PurePosixPath]) -> bool:
    pure = PurePosixPath(path)
    return any(_within(pure, place)[:1] and _within(pure, place)[0].lower().endswith(_METADATA) for place in places)


def _within(path: PurePosixPath, place: PurePosixPath) -> tuple[str, ...]:
    return path.relative_to(place).parts if path.is_relative_to(place) else ()


def _imported_as(path: str, places: set[PurePosixPath]) -> list[tuple[PurePosixPath, str]]:
    """The top-level names under which a file, or its package, can be imported, with the place of each."""
    pure = PurePosixPath(path)
    if pure.suffix not in _MODULES:
        return []
    return [(place, parts[0].split(".")[0]) for place in places if (parts := _within(pure, place))]


def refuse_foreign_configuration(git: Git, instance: Instance, tree: Path, changes: Overlay) -> None:
    """Raise Tampered when the test runner's configuration (options, and plugins that the repository registers) is
    neither the base's nor the commit's.

    A runner that is given files looks for its configuration from their folder upwards, so that in any folder counts.
    """
    _refuse_nested_configuration(git, instance, changes)
    if not _STEERING & changes.keys():
        return
    paths = [path for path, link in files_and_links(tree) if not link]
    found = _steering(lambda path: _read(tree / path), paths)
    for commit in (instance.base_commit, instance.commit):
        if found == _steering(_reader(git, commit), [entry.path for entry in git.tree(commit)]):
            return
    raise Tampered("the configuration of the test runner is neither the parent's nor the commit's")


def _refuse_nested_configuration(git: Git, instance: Instance, changes: Overlay) -> None:
    for path, content in sorted(changes.items()):
        folder, _, name = path.rpartition("/")
        if content is None or not folder or name not in PYTEST.configuration_files:
            continue
        found = _configured(name, content[0])
        others = [git.read(commit, path) for commit in (instance.base_commit, instance.commit)]
        if found and found not in [_configured(name, other) for other in others]:
            raise Tampered(f"{path} configures the test runner otherwise than the parent and the commit do")


def _configured(name: str, content: bytes | None) -> str:
    """What a file says to the runner; "" for nothing."""
    said = PYTEST.configuration({name: content}.get)
    return "" if said == PYTEST.configuration(lambda _: None) and name not in _ALONE else said


def _steering(read: FileReader, paths: Sequence[str]) -> Any:
    """Everything in a tree that says how the runner runs and what it loads."""
    registered = valid_entry_points(discover(read, paths, with_requirements=False))
    groups = {PYTEST.plugin_group}
    configurations = [PYTEST.configuration(read)]
    return configurations, [entry for entry in registered if entry[0] in groups]


def _reader(git: Git, commit: str) -> FileReader:
    return lambda path: git.read(commit, path)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None
