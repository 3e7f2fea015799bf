"""The functions and classes that a commit changes, read with PyDriller for commits that pass the rules.

PyDriller gives sources and changed lines; the definition around a line comes from a tree-sitter query, which has
qualified names and takes a fraction of the time of PyDriller's `changed_methods`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harness.mining.definitions import Span, definitions
from models.manifest import Change, PlanningType
from repos.git import Git


@dataclass(frozen=True)
class Symbols:
    """Symbols of code files that a commit changes, adds or removes, as `path::qualified.name`, sorted.

    `module_level` are the files that existed before and also change outside every symbol.
    """

    new: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    module_level: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every symbol that is changed, added or removed."""
        return tuple(sorted({*self.new, *self.existing}))


@contextmanager
def symbol_reader(git: Git) -> Iterator[Callable[[str, Collection[str]], Symbols]]:
    """A function from commit id and paths of code files to the symbols changed there, over one open repository.

    Opening it writes a setting of PyDriller (`blame.markUnblamableLines`) into the clone's configuration.
    """
    from git import Repo, Submodule
    from git.util import IterableList
    from pydriller import Git as Driller

    class Flat(Repo):
        @property
        def submodules(self) -> IterableList[Submodule]:  # else read anew from HEAD for each changed file
            return IterableList("name")

    repo = Flat(str(git.directory))
    repo.git.update_environment(
        GIT_CONFIG_NOSYSTEM="1",
        GIT_CONFIG_GLOBAL="/dev/null",
        GIT_NO_REPLACE_OBJECTS="1",
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="safe.directory",
        GIT_CONFIG_VALUE_0="*",
    )
    driller = Driller(str(git.directory))

    def changed_by(sha: str, paths: Collection[str]) -> Symbols:
        files = driller.get_commit_from_gitpython(repo.commit(sha)).modified_files
        return _merged(_file_symbols(file, read) for file in files if (file.new_path or file.old_path) in paths)

    read = lru_cache(maxsize=256)(definitions)  # a file's state after one commit is often that before the next
    try:
        yield changed_by
    finally:
        repo.close()
        driller.repo.close()


def _merged(parts: Iterable[Symbols]) -> Symbols:
    found = list(parts)
    return Symbols(
        tuple(sorted({name for part in found for name in part.new})),
        tuple(sorted({name for part in found for name in part.existing})),
        tuple(sorted({name for part in found for name in part.module_level})),
    )


def _file_symbols(file: Any, read: Callable[[bytes, str], tuple[Span, ...]]) -> Symbols:
    """Symbols of one of PyDriller's modified files."""
    path = file.new_path or file.old_path
    old = read(file.content_before or b"", file.old_path or path)
    new = read(file.content or b"", path)
    lines = file.diff_parsed
    deleted, outside_before = _touched(old, [line for line, text in lines["deleted"] if text.strip()])
    added, outside_after = _touched(new, [line for line, text in lines["added"] if text.strip()])
    changed, known = deleted | added, {span.name for span in old}
    return Symbols(
        tuple(f"{path}::{name}" for name in changed - known),
        tuple(f"{path}::{name}" for name in changed & known),
        (path,) if (outside_before or outside_after) and file.old_path else (),
    )


def _touched(spans: tuple[Span, ...], lines: Iterable[int]) -> tuple[set[str], bool]:
    """The innermost definitions around the lines, and whether some line is in none."""
    names: set[str] = set()
    outside = False
    for line in lines:
        holders = [span for span in spans if span.start <= line <= span.end]
        if holders:
            names.add(min(holders, key=lambda span: span.end - span.start).name)
        else:
            outside = True
    return names, outside


def planning_types(changes: tuple[Change, ...], symbols: Symbols | None) -> tuple[PlanningType, ...]:
    """The planning capabilities that a commit exercises; without symbols only those that follow from the files.

    Files are code files. A new or existing symbol counts if it is in production code.
    """
    code = [change for change in changes if change.kind != "other"]
    production = {change.path for change in code if change.kind == "production"}
    tests = len(code) > len(production)
    types = []
    if symbols is not None:
        if len(code) >= 4 and _any_in(symbols.new, production):
            types.append(PlanningType.META)
        if len(code) <= 3 and _any_in((*symbols.existing, *symbols.module_level), production):
            types.append(PlanningType.STEP)
    if tests:
        types.append(PlanningType.ALL if production else PlanningType.TEST)
    return tuple(types)


def _any_in(names: Iterable[str], paths: set[str]) -> bool:
    return any(name.split("::")[0] in paths for name in names)
