"""Twins of a test: the same test with one input varied, recording observations instead of asserting.

The idea is that of metamorphic and differential testing: what the answer to a varied input is need not be known, as the
gold patch gives it. A test module is copied, its tests with all their helpers and fixtures; in each copy of a test one
literal is another, and every assertion is an observation (`runtime.testing.pytest_runner._observer_plugin`).
"""

import ast
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from harness.validation.confirmation.literals import Value, is_literal, variants
from harness.validation.confirmation.observing import Observing
from repos.syntax import FunctionNode, called_name, parse_python
from runtime.testing import without_parameters

OBSERVER = "__observer__"
MOST_SITES = 48
"""Most literals of one test that are varied."""
_MOST_NODES = 2000  # most nodes of a module's constant that is copied into a test

_FIXED = ast.JoinedStr | ast.Import | ast.ImportFrom | ast.MatchValue
_STEERING = frozenset({"match", "id", "ids", "marks", "msg", "reason", "encoding"})  # keywords that are not inputs


@dataclass(frozen=True)
class Twin:
    """A varied test: its node id without parameters, the test it comes from, and the variation.

    `value` is the Python text of the new literal; the base of a test, which varies nothing, has none.
    """

    id: str
    origin: str
    line: int = 0
    before: str = ""
    value: str = ""

    @property
    def is_base(self) -> bool:
        """Whether nothing is varied."""
        return not self.value


@dataclass(frozen=True)
class TwinModule:
    """A test module's copy, to be written next to it, with its twins."""

    path: str
    source: str
    twins: tuple[Twin, ...]


def twin_module(path: str, source: str, tests: Iterable[str], most: int) -> TwinModule | None:
    """The twins of some tests of a module, at most `most` in addition to their bases; None if there is nothing to vary.

    `tests` are node ids; parameters in them are ignored. A module that does not parse has no twins. The result is
    deterministic.
    """
    try:
        tree = parse_python(source.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError):
        return None
    target = str(PurePosixPath(path).with_name(f"{_prefix(path)}varied_{PurePosixPath(path).stem}.py"))
    names = sorted({tuple(without_parameters(test).split("::")[1:]) for test in tests})
    constants = _module_constants(tree)
    found = [(owner, function, name) for name in names for owner, function in _functions(tree, name)]
    if not found:
        return None
    lists = [list(_varied(function, constants)) for _, function, _ in found]
    share = _shares([len(each) for each in lists], most)
    twins: list[Twin] = []
    for (owner, function, name), variations, count in zip(found, lists, share, strict=True):
        origin = "::".join((path, *name))
        base = _observing(_with_name(copy.deepcopy(function), f"{function.name}_twin0"))
        additions: list[tuple[FunctionNode, Twin]] = [(base, Twin("", origin))]
        for number, varied in enumerate(variations[:count], 1):
            made = _observing(_with_name(varied.make(), f"{function.name}_twin{number}"))
            additions.append((made, Twin("", origin, varied.line, varied.before, varied.value)))
        for made, twin in additions:
            owner.append(made)
            identity = "::".join((target, *name[:-1], made.name))
            twins.append(Twin(identity, twin.origin, twin.line, twin.before, twin.value))
    if all(twin.is_base for twin in twins):
        return None
    return TwinModule(target, ast.unparse(_with_import(tree)) + "\n", tuple(twins))


def _prefix(path: str) -> str:
    return "" if PurePosixPath(path).stem.endswith("_test") else "test_"


def _functions(tree: ast.Module, name: Sequence[str]) -> Iterator[tuple[list[ast.stmt], FunctionNode]]:
    """The definition of a test by its qualified name, with the enclosing body."""
    body = tree.body
    for part in name[:-1]:
        owner = next((node for node in body if isinstance(node, ast.ClassDef) and node.name == part), None)
        if owner is None:
            return
        body = owner.body
    for node in body:
        if isinstance(node, FunctionNode) and node.name == name[-1]:
            yield body, node
            return


@dataclass(frozen=True)
class _Variation:
    line: int
    before: str
    value: str
    make: Callable[[], FunctionNode]


def _varied(function: FunctionNode, constants: dict[str, ast.expr]) -> Iterator[_Variation]:
    """Each way to vary one literal of a test, the first variant of each literal first."""
    whole = _Inlined(constants).visit(copy.deepcopy(function))
    sites = list(_sites(whole))[:MOST_SITES]
    choices = [variants(_value(site)) for site in sites]
    for rank in range(max(map(len, choices), default=0)):
        for number, (site, values) in enumerate(zip(sites, choices, strict=True)):
            if rank < len(values):
                yield _variation(whole, number, site, values[rank])


def _variation(whole: FunctionNode, number: int, site: ast.expr, value: Value) -> _Variation:
    def make() -> FunctionNode:
        made = copy.deepcopy(whole)
        chosen = list(_sites(made))[number]
        _Replaced(chosen, ast.copy_location(ast.Constant(value), chosen)).visit(made)
        _keep_only_varied_parameters(made, whole, number)
        return made

    return _Variation(getattr(site, "lineno", 0), repr(_value(site)), repr(value), make)


def _value(site: ast.expr) -> Value:
    return site.value if isinstance(site, ast.Constant) else None


def _sites(function: FunctionNode) -> Iterator[ast.Constant]:
    """Literals that may be inputs: not documentation, not keywords that configure pytest, not expected values."""
    skipped = set(_left_out(function))
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and len(decorator.args) > 1 and called_name(decorator) == "parametrize":
            yield from _constants(decorator.args[1], skipped)
    for statement in function.body:
        yield from _constants(statement, skipped)


def _constants(node: ast.AST, skipped: set[int]) -> Iterator[ast.Constant]:
    if id(node) in skipped:
        return
    if isinstance(node, ast.Constant):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _constants(child, skipped)


def _left_out(function: FunctionNode) -> Iterator[int]:
    for node in ast.walk(function):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)
        elif isinstance(node, _FIXED) or (isinstance(node, ast.keyword) and node.arg in _STEERING):
            yield id(node)
        elif isinstance(node, ast.Assert):
            if node.msg is not None:
                yield id(node.msg)
            if isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
                yield from (id(side) for side in (node.test.left, node.test.comparators[0]) if is_literal(side))
        elif isinstance(node, ast.Call) and called_name(node).startswith("assert"):
            yield from (id(argument) for argument in node.args[:2] if is_literal(argument))


def _keep_only_varied_parameters(made: FunctionNode, whole: FunctionNode, number: int) -> None:
    """Keep only the varied set in a list of parameter sets: the others are unchanged."""
    before = 0
    for decorator in made.decorator_list:
        if not (
            isinstance(decorator, ast.Call) and len(decorator.args) > 1 and called_name(decorator) == "parametrize"
        ):
            continue
        values = decorator.args[1]
        skipped = set(_left_out(made))
        counts = [len(list(_constants(each, skipped))) for each in getattr(values, "elts", [])]
        for index, count in enumerate(counts):
            if before <= number < before + count and isinstance(values, ast.List | ast.Tuple):
                values.elts = [values.elts[index]]
                decorator.keywords = [keyword for keyword in decorator.keywords if keyword.arg != "ids"]
                return
            before += count


class _Replaced(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


class _Inlined(ast.NodeTransformer):
    """Inlines a module's literal constants where a test names them, so that they can be varied for one test alone."""

    def __init__(self, constants: dict[str, ast.expr]) -> None:
        self._constants = constants

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in self._constants:
            return copy.deepcopy(self._constants[node.id])
        return node


def _module_constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Names bound exactly once in a module, to a literal."""
    bound: dict[str, list[ast.expr | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            bound.setdefault(node.id, []).append(None)
        elif isinstance(node, ast.arg):
            bound.setdefault(node.arg, []).append(None)
    values: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = node.value
    small = {name: value for name, value in values.items() if sum(1 for _ in ast.walk(value)) <= _MOST_NODES}
    return {name: value for name, value in small.items() if len(bound[name]) == 1 and is_literal(value)}


def _with_name(function: FunctionNode, name: str) -> FunctionNode:
    function.name = name
    return function


def _observing(function: FunctionNode) -> FunctionNode:
    Observing(OBSERVER).transform(function)
    return function


def _with_import(tree: ast.Module) -> ast.Module:
    """The module, with the observer imported after its docstring and `__future__` imports."""
    head = [isinstance(n, ast.Expr) or (isinstance(n, ast.ImportFrom) and n.module == "__future__") for n in tree.body]
    tree.body.insert(
        head.index(False) if False in head else len(head), ast.Import([ast.alias(OBSERVER.strip("_"), OBSERVER)])
    )
    return ast.fix_missing_locations(tree)


def _shares(sizes: list[int], most: int) -> list[int]:
    """How many of each list to take so that all together are at most `most`, the smaller lists whole."""
    taken = [0] * len(sizes)
    while sum(taken) < most and any(t < s for t, s in zip(taken, sizes, strict=True)):
        for index, size in enumerate(sizes):
            if taken[index] < size and sum(taken) < most:
                taken[index] += 1
    return taken
