"""The functions of a Python file that a change alters, each before and after."""

import ast
import textwrap
from typing import NamedTuple

from repos.index.error_handling import UnreadableCode, read_code
from repos.index.symbols import SymbolKind, base_name, symbols
from repos.text import lines_of

_FUNCTIONS = (SymbolKind.FUNCTION, SymbolKind.METHOD)


class ChangedFunction(NamedTuple):
    """A function by its name in the file, with its whole lines before and after."""

    name: str
    before: str
    after: str


def changed_functions(before: str, after: str, path: str) -> list[ChangedFunction]:
    """The smallest functions that both sides have and that differ, in the order of the new text.

    Of a function and one inside it that both differ, the inner one is given. Functions that share a line with other
    code, or their name with another, are passed over. The texts must be valid Unicode.
    """
    old, new = _bodies(before, path), _bodies(after, path)
    names = [name for name, body in new.items() if name in old and old[name] != body]
    outer = {name for name in names for other in names if other.startswith(f"{name}.")}
    return [ChangedFunction(name, old[name], new[name]) for name in names if name not in outer]


def _bodies(text: str, path: str) -> dict[str, str]:
    lines = lines_of(text)
    return {
        each.name: "".join(lines[each.start_line - 1 : each.end_line])
        for each in symbols(text, path)
        if each.kind in _FUNCTIONS and each.own_lines and base_name(each.name) == each.name
    }


def same_code(before: str, after: str) -> bool:
    """Whether two texts that parse are the same but for layout, comments and docstrings. Raises UnreadableCode."""
    return _code(before) == _code(after)


def _code(text: str) -> str:
    tree = read_code(textwrap.dedent(text))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    try:
        return ast.dump(tree)
    except RecursionError as error:
        raise UnreadableCode("nested too deeply") from error
