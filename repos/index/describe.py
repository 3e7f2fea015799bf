"""Short description of a symbol: signature, decorators, first paragraph of its documentation."""

import inspect
import re
from typing import TYPE_CHECKING

from repos.index.symbols import SymbolKind

if TYPE_CHECKING:
    from tree_sitter import Node

_SIGNATURE = 300
_DOC = 400
_DECORATOR = 120
_COMMENT_EDGES = re.compile(r"^\s*(?:/\*+|\*+/|\*)[ \t]?|\s*\*+/\s*$", re.MULTILINE)
_OPENED = re.compile(r"([(\[{])\s*\n\s*")
_CLOSED = re.compile(r",?\s*\n\s*([)\]}])")
_WRAPPERS = ("decorated_definition", "export_statement", "ambient_declaration", "expression_statement")


def described(node: "Node", kind: SymbolKind, language: str) -> tuple[str, str, tuple[str, ...]]:
    """Signature, first paragraph of the documentation, and decorators of a definition's node."""
    outer = node
    while outer.parent is not None and outer.parent.type in _WRAPPERS:
        outer = outer.parent
    return _signature(node, kind), _doc(node, outer, language), _decorators(node, outer)


def doc_of(statement: "Node | None", language: str) -> str:
    """The first paragraph of a docstring (Python) or of a `/** */` comment, on one line; empty for anything else."""
    if statement is None:
        return ""
    if language == "python":
        string = statement.named_children[0] if statement.type == "expression_statement" else None
        if string is None or string.type != "string":
            return ""
        text = "".join(_text(child) for child in string.named_children if child.type == "string_content")
        return _paragraph(inspect.cleandoc(text))
    if statement.type != "comment" or not _text(statement).startswith("/**"):
        return ""
    return _paragraph(_COMMENT_EDGES.sub("", _text(statement)))


def _text(node: "Node") -> str:
    return (node.text or b"").decode(errors="replace")


def _paragraph(text: str) -> str:
    return _one_line(re.split(r"\n\s*(?:\n|@)", text.strip(), maxsplit=1)[0], _DOC)


def _one_line(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def _head(text: str, most: int) -> str:
    """Code on one line, without the white space of its line breaks."""
    return _one_line(_CLOSED.sub(r"\1", _OPENED.sub(r"\1", text)), most)


def _signature(node: "Node", kind: SymbolKind) -> str:
    """The text before the body; for a constant or an alias, all of it as far as a line goes."""
    body = body_node(node) if kind is not SymbolKind.CONSTANT else None
    source = node.text or b""
    if body is not None:
        source = source[: body.start_byte - node.start_byte]
    return _head(source.decode(errors="replace"), _SIGNATURE).removesuffix("{").rstrip(" :")


def body_node(node: "Node") -> "Node | None":
    """The body of a definition, or of a function bound to a variable; None for a definition without one."""
    body = node.child_by_field_name("body")
    if body is not None:
        return body
    if node.type in ("lexical_declaration", "variable_declaration"):
        node = next((child for child in node.named_children if child.type == "variable_declarator"), node)
    value = node.child_by_field_name("value") or node.child_by_field_name("right")
    return value.child_by_field_name("body") if value is not None else None


def _doc(node: "Node", outer: "Node", language: str) -> str:
    if language == "python":
        body = node.child_by_field_name("body")
        first = body.named_children[0] if body is not None and body.named_child_count else outer.next_named_sibling
        constant = body is None and first is not None and first.start_point.row == outer.end_point.row + 1
        return doc_of(first, language) if body is not None or constant else ""
    before = outer.prev_named_sibling
    while before is not None and before.type == "decorator":
        before = before.prev_named_sibling
    adjacent = before is not None and before.type == "comment" and before.end_point.row + 1 >= outer.start_point.row
    return doc_of(before, language) if adjacent else ""


def _decorators(node: "Node", outer: "Node") -> tuple[str, ...]:
    found = [child for parent in (outer, node) for child in parent.named_children if child.type == "decorator"]
    before = node.prev_named_sibling
    preceding = []
    while before is not None and before.type == "decorator":
        preceding.append(before)
        before = before.prev_named_sibling
    unique = {child.start_byte: child for child in [*found, *preceding]}
    return tuple(_head(_text(unique[at]).removeprefix("@"), _DECORATOR) for at in sorted(unique))
