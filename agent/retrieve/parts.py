"""Rows of the head, the docstring and the body of each symbol in a file."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from repos.index.describe import body_node
from repos.index.symbols import SymbolKind, language_of, parse_tree, symbol_nodes

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True)
class SymbolRows:
    """Rows of a symbol from 0: all of it [start, end), its head [start, body), its body [body, close).

    [body, doc) is a docstring. The rows from `close` on close the body, in languages that have such.
    `inside` is the number of the enclosing symbol.
    """

    name: str
    kind: SymbolKind
    inside: int | None
    start: int
    body: int
    doc: int
    close: int
    end: int


@lru_cache(maxsize=256)
def parts_of(text: str, path: str) -> tuple[SymbolRows, ...]:
    """The parts of a file in source order, outer before inner; none for a language without a grammar here."""
    language = language_of(path)
    if language is None:
        return ()
    source = text.encode()
    rows = source.split(b"\n")
    parts: list[SymbolRows] = []
    open_: list[int] = []
    for symbol, node in symbol_nodes(source, parse_tree(source, language)):
        while open_ and not symbol.name.startswith(parts[open_[-1]].name + "."):
            open_.pop()
        start, end = symbol.start_line - 1, symbol.end_line
        body, doc, close = _body(node, rows, end)
        inside = open_[-1] if open_ else None
        parts.append(
            SymbolRows(symbol.name, symbol.kind, inside, start, min(body, end), min(doc, end), min(close, end), end)
        )
        open_.append(len(parts) - 1)
    return tuple(parts)


def _body(node: "Node", rows: list[bytes], end: int) -> tuple[int, int, int]:
    """First row of the body, the row after its docstring, the row after it."""
    body = body_node(node)
    if body is None:
        first = node.start_point.row + 1
        return first, first, max(first, end - 1)
    if body.type != "block":
        first = body.start_point.row + 1
        return first, first, max(first, body.end_point.row)
    row, column = body.start_point
    if rows[row][:column].strip():  # the body is on the head's line
        return end, end, end
    statement = body.named_children[0] if body.named_children else None
    is_doc = (
        statement is not None
        and statement.type == "expression_statement"
        and bool(statement.named_children)
        and statement.named_children[0].type == "string"
    )
    doc = statement.end_point.row + 1 if is_doc and statement is not None else row
    return row, doc, body.end_point.row + 1
