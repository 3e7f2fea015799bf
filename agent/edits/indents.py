"""Indents moved with the code alone: the text inside a literal of several lines stays as it is written.

A docstring moves with its code where each of its lines is indented at least like it, which its readers ignore.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.errors import EditError
from repos import text as texts
from repos.index.symbols import language_of, parse_tree

if TYPE_CHECKING:
    from tree_sitter import Node

_LITERALS = frozenset({"string", "template_string"})
_SHELL = (".sh", ".bash", ".zsh", ".ksh")
_HEREDOC = re.compile(r"(?<!<)<<(-?)[ \t]*(['\"]?)\\?([A-Za-z_]\w*)\2")


@dataclass(frozen=True)
class Rows:
    """Rows of a file, from 0, that begin inside a literal or after a backslash; `docstrings` are among the literals."""

    literals: frozenset[int] = frozenset()
    docstrings: frozenset[int] = frozenset()
    continued: frozenset[int] = frozenset()

    @property
    def fixed(self) -> frozenset[int]:
        """All of them: a shift may leave them alone."""
        return self.literals | self.continued


def rows_of(text: str, path: str) -> Rows:
    """The rows of a file that are no code by themselves; none in a language without a grammar (except the shell)."""
    language = language_of(path)
    if language is None:
        return Rows(_heredocs(text)) if path.endswith(_SHELL) else Rows()
    literals: set[int] = set()
    docstrings: set[int] = set()
    continued: set[int] = set()
    lines = text.split("\n")
    stack = [parse_tree(text.encode(), language)]
    while stack:
        node = stack.pop()
        first, last = node.start_point.row, node.end_point.row
        if first == last:
            continue
        if node.type == "line_continuation":
            continued.add(last)
        elif node.type in _LITERALS:
            inside = range(first + 1, last + 1)
            literals.update(inside)
            if _is_docstring(node) and _indented_like(lines, first, inside):
                docstrings.update(inside)
        else:
            stack.extend(node.children)
    return Rows(frozenset(literals), frozenset(docstrings), frozenset(continued))


def shift(
    body: str, change: tuple[str, str], what: str, place: tuple[str, str, str], *, docstrings: bool = True
) -> str:
    """The body with the indent `change[0]` of its code replaced by `change[1]`; `docstrings` says whether they move.

    `place` is the path and the texts before and after the body in its file. Raises EditError, with `what` in the
    message, for a line of code that is not indented by `change[0]`.
    """
    old, new = change
    path, before, after = place
    lines = texts.lines_of(body)
    guess = body
    if language_of(path) is not None:  # no literal's end depends on an indent, unlike a here-document's
        guess = "".join(new + line.removeprefix(old) if line.strip() else line for line in lines)
    rows = rows_of(before + guess + after, path)
    fixed = rows.fixed - rows.docstrings if docstrings else rows.fixed
    start = before.count("\n")
    shifted = []
    for number, line in enumerate(lines):
        if not line.strip() or start + number in fixed:
            shifted.append(line)
        elif line.startswith(old):
            shifted.append(new + line.removeprefix(old))
        else:
            raise EditError(f"line {number + 1} of {what} is not indented by {old!r} like the rest: {line.strip()!r}")
    return "".join(shifted)


def _is_docstring(node: "Node") -> bool:
    statement = node.parent
    if statement is None or statement.type != "expression_statement" or statement.named_child_count != 1:
        return False
    block = statement.parent
    outer = block.parent if block is not None else None
    if block is None or block.type != "block" or outer is None:
        return False
    first = next((child for child in block.named_children if child.type != "comment"), None)
    return outer.type in ("function_definition", "class_definition") and first == statement


def _indented_like(lines: list[str], first: int, inside: range) -> bool:
    indent = texts.indent_of(lines[first])
    return all(lines[row].startswith(indent) for row in inside if lines[row].strip())


def _heredocs(text: str) -> frozenset[int]:
    """Rows of a shell script inside here-documents, the closing words included."""
    inside: set[int] = set()
    waiting: list[tuple[bool, str]] = []
    for row, line in enumerate(text.split("\n")):
        if waiting:
            inside.add(row)
            tabs, word = waiting[0]
            if (line.lstrip("\t") if tabs else line).removesuffix("\r") == word:
                waiting.pop(0)
        elif not line.lstrip().startswith("#"):
            waiting = [(bool(found[1]), found[3]) for found in _HEREDOC.finditer(line)]
    return frozenset(inside)
