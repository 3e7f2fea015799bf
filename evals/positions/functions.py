"""Lines of Python functions, each with the function that holds it."""

import ast
from collections.abc import Iterator
from typing import NamedTuple

SHORTEST_LINE = 20
"""Characters of a line that is asked about; shorter ones occur everywhere."""
LONGEST_LINE = 120

Function = ast.FunctionDef | ast.AsyncFunctionDef


class HeldLine(NamedTuple):
    """A statement on one line: its text without indent, its number, and the innermost function that holds it."""

    text: str
    line: int
    function: str
    defined: int


def parsed(text: str) -> ast.Module | None:
    """The module, or None for what this Python does not parse."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def functions_of(module: ast.Module) -> Iterator[Function]:
    """All functions and methods, in the order of the walk."""
    return (node for node in ast.walk(module) if isinstance(node, Function))


def held_lines(module: ast.Module, lines: list[str]) -> list[HeldLine]:
    """The statements on one line that functions hold directly, by line; those of nested functions are theirs."""
    found = []
    for function in functions_of(module):
        for statement in _statements(function):
            text = lines[statement.lineno - 1].strip()
            if statement.lineno == statement.end_lineno and SHORTEST_LINE <= len(text) <= LONGEST_LINE:
                found.append(HeldLine(text, statement.lineno, function.name, function.lineno))
    return sorted(set(found), key=lambda each: (each.line, each.function))


def _statements(function: Function) -> Iterator[ast.stmt]:
    """Simple statements below a function but not below a function or class inside it."""
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function | ast.ClassDef):
            continue
        if isinstance(node, ast.stmt) and not hasattr(node, "body") and not _is_text(node):
            yield node
        waiting += ast.iter_child_nodes(node)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
