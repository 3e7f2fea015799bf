"""The functions and classes that a commit changes, read with PyDriller for commits that survived the rules.

PyDriller gives sources and changed lines. Which symbol a line belongs to comes from Python's own parser where
it can read the file (qualified names, classes, decorators, a fraction of the time), else from PyDriller's
`changed_methods` (JavaScript, TypeScript, Python of another age).
"""

import ast
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harness.git import Git
from harness.mining.paths import PYTHON, kind_of
from models.manifest import Change, PlanningType


@dataclass(frozen=True)
class Symbols:
    """What a commit does to symbols of code files, as `path::qualified.name`, sorted.

    `module_level` holds the files that existed before and change outside every symbol as well.
    """

    new: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    module_level: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every symbol that is changed, added or removed."""
        return tuple(sorted({*self.new, *self.existing}))


@dataclass(frozen=True)
class Span:
    """A function or class: its qualified name, first and last line (decorators included, from 1)."""

    name: str
    start: int
    end: int


@contextmanager
def symbol_reader(git: Git) -> Iterator[Callable[[str], Symbols]]:
    """A function from commit id to the symbols it changes, over one open repository.

    Opening writes a setting of PyDriller's (`blame.markUnblamableLines`) into the clone's configuration.
    """
    from pydriller import Git as Driller

    driller = Driller(str(git.directory))
    driller.repo.git.update_environment(
        GIT_CONFIG_NOSYSTEM="1",
        GIT_CONFIG_GLOBAL="/dev/null",
        GIT_NO_REPLACE_OBJECTS="1",
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="safe.directory",
        GIT_CONFIG_VALUE_0="*",
    )
    try:
        yield lambda sha: _merged(_file_symbols(file) for file in driller.get_commit(sha).modified_files)
    finally:
        driller.repo.close()


def _merged(parts: Iterable[Symbols]) -> Symbols:
    found = list(parts)
    return Symbols(
        tuple(sorted({name for part in found for name in part.new})),
        tuple(sorted({name for part in found for name in part.existing})),
        tuple(sorted({name for part in found for name in part.module_level})),
    )


def _file_symbols(file: Any) -> Symbols:
    """Symbols of one of PyDriller's modified files; none for a file that is not code."""
    path = file.new_path or file.old_path
    if kind_of(path) == "other":
        return Symbols()
    before, after = file.source_code_before or "", file.source_code or ""
    old, new = _python_spans(path, before), _python_spans(path, after)
    if old is None or new is None:
        known = {method.name for method in file.methods_before}
        changed = {method.name for method in file.changed_methods}
        module_level = False
    else:
        known = {span.name for span in old}
        lines = file.diff_parsed
        deleted, outside_before = _touched(old, [n for n, text in lines["deleted"] if text.strip()])
        added, outside_after = _touched(new, [n for n, text in lines["added"] if text.strip()])
        changed, module_level = deleted | added, outside_before or outside_after
    return Symbols(
        tuple(f"{path}::{name}" for name in changed - known),
        tuple(f"{path}::{name}" for name in changed & known),
        (path,) if module_level and file.old_path else (),
    )


def _touched(spans: tuple[Span, ...], lines: Iterable[int]) -> tuple[set[str], bool]:
    """The innermost symbols that hold the lines, and whether some line lies in none."""
    names: set[str] = set()
    outside = False
    for line in lines:
        holders = [span for span in spans if span.start <= line <= span.end]
        if holders:
            names.add(min(holders, key=lambda span: span.end - span.start).name)
        else:
            outside = True
    return names, outside


def _python_spans(path: str, source: str) -> tuple[Span, ...] | None:
    """Symbols of a Python file, or None if this parser cannot read it."""
    return _parsed_spans(source) if path.endswith(PYTHON) else None


@lru_cache(maxsize=256)  # a file's state after one commit is mostly its state before the next
def _parsed_spans(source: str) -> tuple[Span, ...] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SyntaxWarning: strangers' escapes
            return tuple(_spans(ast.parse(source), ""))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _spans(node: ast.AST, prefix: str) -> Iterator[Span]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}"
            first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            yield Span(name, first, child.end_lineno or child.lineno)
            yield from _spans(child, f"{name}.")
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _spans(child, prefix)


def planning_types(changes: tuple[Change, ...], symbols: Symbols | None) -> tuple[PlanningType, ...]:
    """Which planning capabilities a commit exercises; without symbols only those that the files alone tell.

    Files are code files. A new or existing symbol counts if it lies in production code.
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
