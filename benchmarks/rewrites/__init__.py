"""Rewritings of code that keep its meaning, as metamorphic testing of compilers uses them."""

import ast
import difflib
import random
from collections.abc import Iterator, Mapping

from benchmarks.rewrites import expressions, names, statements
from benchmarks.rewrites.base import Rewriting
from repos.syntax import FunctionNode

REWRITINGS: tuple[type[Rewriting], ...] = (
    statements.SwappedBranches,
    statements.RestInElse,
    statements.ElseAsRest,
    statements.NamedResults,
    statements.ConditionalStatements,
    statements.ExpandedAssignments,
    statements.SplitTuples,
    statements.EndlessLoops,
    statements.NestedContexts,
    statements.Loops,
    statements.HelperFunctions,
    expressions.DeMorgan,
    expressions.DoubleNegation,
    expressions.MirroredComparisons,
    expressions.SplitComparisons,
    expressions.FormatCalls,
    expressions.KeywordOrder,
    names.LocalNames,
)

Files = Mapping[str, tuple[str, str]]
"""Texts of Python files before and after a patch, by path."""


def rewritten(files: Files, seeds: int) -> Iterator[tuple[str, dict[str, str]]]:
    """Other versions of a patch, each with a name: one in another layout, one for each rewriting that finds a place
    in the functions that the patch changes, and `seeds` in which chance mixes them. No two are the same."""
    seen: set[tuple[str, ...]] = set()
    plans = [("layout", ()), *((each.__name__, (each,)) for each in REWRITINGS)]
    plans += [(f"mixed {seed}", REWRITINGS) for seed in range(1, seeds + 1)]
    for number, (label, kinds) in enumerate(plans):
        made = {path: _file(texts, kinds, random.Random(number)) for path, texts in files.items()}
        if tuple(made.values()) not in seen:
            seen.add(tuple(made.values()))
            yield label, made


def _file(texts: tuple[str, str], kinds: tuple[type[Rewriting], ...], chance: random.Random) -> str:
    before, after = texts
    tree = ast.parse(after)
    changed = _changed_lines(before, after)
    order = list(kinds)
    if len(order) > 1:
        chance.shuffle(order)
        order = [kind for kind in order if chance.random() < 0.6]
    for function in _functions(tree):
        if changed & set(range(function.lineno, (function.end_lineno or function.lineno) + 1)):
            for kind in order:
                kind(chance).rewrite(function)
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _functions(tree: ast.Module) -> list[FunctionNode]:
    """Functions that lie in no other function."""
    found: list[FunctionNode] = []
    left: list[ast.AST] = [tree]
    while left:
        for node in ast.iter_child_nodes(left.pop()):
            if isinstance(node, FunctionNode):
                found.append(node)
            elif isinstance(node, ast.stmt | ast.ExceptHandler):
                left.append(node)
    return found


def _changed_lines(before: str, after: str) -> set[int]:
    """Numbers of the lines of `after` that are not in `before`, or at which something was left out."""
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    found: set[int] = set()
    for kind, _, _, start, end in matcher.get_opcodes():
        if kind != "equal":
            found.update(range(start + 1, max(end, start + 1) + 1))
    return found
