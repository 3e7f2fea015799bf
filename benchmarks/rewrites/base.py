"""What a rewriting is: a change of a function's syntax tree that keeps its meaning, made at places chosen by chance."""

import ast
import random
from abc import ABC
from collections.abc import Iterator

from repos.syntax import FunctionNode

Scope = FunctionNode | ast.Lambda | ast.ClassDef


class Rewriting(ast.NodeTransformer, ABC):
    """Rewrites one function in place. `done` counts the places that were changed."""

    share = 0.8
    """Of the places that can be changed, how many are, on average."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._taken: set[str] = set()
        self.done = 0

    def rewrite(self, function: FunctionNode) -> None:
        """Change a function where it can be."""
        self._taken = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        self._taken |= {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
        self.visit_body(function)
        ast.fix_missing_locations(function)

    def visit_body(self, function: FunctionNode) -> None:
        """Change the statements of a function; its decorators, defaults and documentation stay."""
        start = int(ast.get_docstring(function, clean=False) is not None)
        function.body = function.body[:start] + self.block(function.body[start:])

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Statements, rewritten one by one."""
        found: list[ast.stmt] = []
        for statement in body:
            made = self.visit(statement)
            found += made if isinstance(made, list) else [made]
        return found

    def chosen(self) -> bool:
        """Whether this place is changed; counts it."""
        taken = self._chance.random() < self.share
        self.done += taken
        return taken

    def fresh(self, stem: str) -> str:
        """A name that the function does not use."""
        number = 1
        while (name := f"{stem}_{number}") in self._taken:
            number += 1
        self._taken.add(name)
        return name


def name(identifier: str, *, store: bool = False) -> ast.Name:
    """A name, read or bound."""
    return ast.Name(identifier, ast.Store() if store else ast.Load())


def assign(identifier: str, value: ast.expr) -> ast.Assign:
    """`identifier = value`."""
    return ast.Assign([name(identifier, store=True)], value)


def negated(test: ast.expr) -> ast.expr:
    """The opposite of a condition."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    opposite = {ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in opposite:
        return ast.Compare(test.left, [opposite[type(test.ops[0])]()], test.comparators)
    return ast.UnaryOp(ast.Not(), test)


def is_simple(node: ast.expr) -> bool:
    """Whether evaluating an expression twice, or earlier, changes nothing: a name or a constant."""
    return isinstance(node, ast.Name | ast.Constant)


def holds(node: ast.AST, *kinds: type[ast.AST]) -> bool:
    """Whether a node of one of some kinds is inside another."""
    return any(isinstance(each, kinds) for each in ast.walk(node))


def leaves(body: list[ast.stmt]) -> bool:
    """Whether control never comes to the end of a block."""
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise | ast.Continue | ast.Break)


def called_names(node: ast.AST) -> Iterator[str]:
    """Names of functions that are called in a node."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name):
            yield each.func.id
