"""Lines of the functions and classes of a source file at any depth, by one tree-sitter query for each language.

The query runs in C, so that thousands of versions of files can be read in a mining run. `repos.index.symbols` tells
more, and takes longer: kinds, constants, repeated definitions. Names are qualified by nesting (`Class.method`). Files
with syntax errors give what parses.

Versions of a file share most of its pieces (`repos.index.pieces`), each of which is parsed once.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from repos.index.pieces import cut, digest_of
from repos.index.symbols import grammar, language_of, parse_tree

if TYPE_CHECKING:
    from tree_sitter import Node, Query

_PYTHON = "[(function_definition) (class_definition)] @definition"
_JAVASCRIPT = """
    [(function_declaration) (generator_function_declaration) (class_declaration) (method_definition)] @definition
    (variable_declarator name: (identifier) value: [(arrow_function) (function_expression) (class)]) @definition
    (field_definition property: (_) value: [(arrow_function) (function_expression)]) @definition
"""
_TYPESCRIPT = """
    [(function_declaration) (generator_function_declaration) (class_declaration) (abstract_class_declaration)
     (method_definition) (interface_declaration) (type_alias_declaration) (enum_declaration)] @definition
    (variable_declarator name: (identifier) value: [(arrow_function) (function_expression) (class)]) @definition
    (public_field_definition name: (_) value: [(arrow_function) (function_expression)]) @definition
"""
_QUERIES = {"python": _PYTHON, "javascript": _JAVASCRIPT, "typescript": _TYPESCRIPT, "tsx": _TYPESCRIPT}
_WRAPPERS = {"decorated_definition", "export_statement", "lexical_declaration", "variable_declaration"}


@dataclass(frozen=True, slots=True)
class Span:
    """A function or class: its qualified name, first and last line (decorators included, from 1)."""

    name: str
    start: int
    end: int


def definition_spans(source: bytes, path: str) -> tuple[Span, ...]:
    """Definitions of a file, outer before inner; none for a language without a grammar here."""
    return DefinitionSpans().read(source, path)


class DefinitionSpans:
    """Reads many versions of files. What it found in a piece is kept as long as the reader itself."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[str, bytes], tuple[tuple[Span, ...], bool]] = {}

    def read(self, source: bytes, path: str) -> tuple[Span, ...]:
        """Definitions of a file, outer before inner; none for a language without a grammar here."""
        language = language_of(path)
        if language is None or not source:
            return ()
        spans: list[Span] = []
        line = 0
        for piece in cut(source, language):
            found, whole = self._read_piece(piece, language)
            if not whole and len(piece) < len(source):  # a cut went through a definition, or the file has errors
                return self._read_piece(source, language)[0]
            spans += [Span(span.name, span.start + line, span.end + line) for span in found] if line else found
            line += piece.count(b"\n")
        return tuple(spans)

    def _read_piece(self, piece: bytes, language: str) -> tuple[tuple[Span, ...], bool]:
        key = language, digest_of(piece)
        if key not in self._pieces:
            self._pieces[key] = _parse(piece, language)
        return self._pieces[key]


def _parse(source: bytes, language: str) -> tuple[tuple[Span, ...], bool]:
    """Definitions of a text, and whether all of it parses."""
    from tree_sitter import QueryCursor

    root = parse_tree(source, language)
    found = QueryCursor(_query(language)).captures(root).get("definition", [])
    spans: list[Span] = []
    open_definitions: list[tuple[int, str]] = []  # (end byte, qualified name)
    for node in sorted(found, key=lambda node: (node.start_byte, -node.end_byte)):
        while open_definitions and open_definitions[-1][0] <= node.start_byte:
            open_definitions.pop()
        name = _name(node)
        if open_definitions:
            name = f"{open_definitions[-1][1]}.{name}"
        open_definitions.append((node.end_byte, name))
        outer = _outer(node)
        spans.append(Span(name, outer.start_point.row + 1, outer.end_point.row + 1))
    return tuple(spans), not root.has_error


@cache
def _query(language: str) -> "Query":
    import tree_sitter

    return tree_sitter.Query(grammar(language), _QUERIES[language])


def _name(node: "Node") -> str:
    """A definition's own name; `default` for an export without one."""
    name = node.child_by_field_name("name") or node.child_by_field_name("property")
    return name.text.decode("utf-8", "replace") if name is not None and name.text else "default"


def _outer(node: "Node") -> "Node":
    """The node with the decorators, the `export` or the `const` in front of it."""
    while node.parent is not None and node.parent.type in _WRAPPERS:
        node = node.parent
    return node
