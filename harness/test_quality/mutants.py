"""Mutants of a patch, each with one hunk reverted, which a suite that checks the whole patch has to detect."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.planners.hunks import FileHunks
from models.files import FileContent
from models.test_quality import Mutant, MutantOutcome
from repos.text import lines_of

Sides = Mapping[str, tuple[FileContent | None, FileContent | None]]
"""Files by path: without the patch, and with it; None where they do not exist."""


@dataclass(frozen=True)
class Reverted:
    """A patch without one hunk: the file's content (None: deleted). `mutant` has the hunk, and its outcome so far."""

    mutant: Mutant
    content: FileContent | None

    @property
    def equivalent(self) -> bool:
        """Whether the code is equivalent without the hunk."""
        return self.mutant.fate is MutantOutcome.EQUIVALENT


def changed_lines(sides: Sides) -> dict[str, frozenset[int]]:
    """The lines (from 1) of each Python file that a patch adds or changes."""
    found = {}
    for path, (before, after) in sorted(sides.items()):
        if after is not None and path.endswith(".py"):
            hunks = FileHunks(path, before.text if before else "", after.text).hunks
            found[path] = frozenset(line for hunk in hunks for line in range(hunk.a0 + 1, hunk.a1 + 1))
    return found


def reverted(sides: Sides) -> list[Reverted]:
    """A patch's Python files with each hunk reverted in turn, in path and line order.

    A file that the patch creates or removes is one hunk.
    """
    return [each for path in sorted(sides) if path.endswith(".py") for each in _of_file(path, *sides[path])]


def _of_file(path: str, before: FileContent | None, after: FileContent | None) -> Iterator[Reverted]:
    if before == after:
        return
    if before is None or after is None:
        end = len(lines_of(after.text)) if after else 0
        outcome = (
            MutantOutcome.EQUIVALENT
            if after is not None and _meaning(after.text) == _meaning("")
            else MutantOutcome.SURVIVED
        )
        yield Reverted(Mutant(path=path, start=1, end=end + 1, fate=outcome), before)
        return
    file = FileHunks(path, before.text, after.text)
    everything = frozenset(range(len(file.hunks)))
    whole = _meaning(after.text)
    for index, hunk in enumerate(file.hunks):
        text = file.text(everything - {index})
        same = whole is not None and _meaning(text) == whole
        outcome = MutantOutcome.EQUIVALENT if same else MutantOutcome.SURVIVED
        mutant = Mutant(path=path, start=hunk.a0 + 1, end=hunk.a1 + 1, names=tuple(sorted(hunk.names)), fate=outcome)
        yield Reverted(mutant, FileContent(text, after.executable))


def _meaning(text: str) -> str | None:
    """A module's syntax tree without docstrings, as text; None if this interpreter cannot parse it."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body[0] = ast.Pass()
    return ast.dump(tree)
