"""Locations of functions and classes in a source file, by one tree-sitter query per language.

The query runs in C; names are qualified by nesting (`Class.method`), so that thousands of file versions can be parsed
in a mining run. Files with syntax errors give the definitions that parse.
"""

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Query

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
_GRAMMARS = {
    "python": ("tree_sitter_python", "language", _PYTHON),
    "javascript": ("tree_sitter_javascript", "language", _JAVASCRIPT),
    "typescript": ("tree_sitter_typescript", "language_typescript", _TYPESCRIPT),
    "tsx": ("tree_sitter_typescript", "language_tsx", _TYPESCRIPT),
}
_LANGUAGES = {
    **dict.fromkeys((".py", ".pyi"), "python"),
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), "javascript"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    ".tsx": "tsx",
}
_WRAPPERS = {"decorated_definition", "export_statement", "lexical_declaration", "variable_declaration"}


@dataclass(frozen=True, slots=True)
class Span:
    """A function or class: its qualified name, first and last line (decorators included, from 1)."""

    name: str
    start: int
    end: int


def definitions(source: bytes, path: str) -> tuple[Span, ...]:
    """Definitions of a file, outer before inner; none for a language without a grammar here."""
    language = _LANGUAGES.get(PurePosixPath(path).suffix.lower())
    if language is None or not source:
        return ()
    from tree_sitter import QueryCursor

    parser, query = _tools(language)
    found = QueryCursor(query).captures(parser.parse(source).root_node).get("definition", [])
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
    return tuple(spans)


@cache
def _tools(language: str) -> "tuple[Parser, Query]":
    import tree_sitter

    module, function, query = _GRAMMARS[language]
    grammar = tree_sitter.Language(getattr(importlib.import_module(module), function)())
    return tree_sitter.Parser(grammar), tree_sitter.Query(grammar, query)


def _name(node: "Node") -> str:
    """A definition's own name; `default` for an export without one."""
    name = node.child_by_field_name("name") or node.child_by_field_name("property")
    return name.text.decode("utf-8", "replace") if name is not None and name.text else "default"


def _outer(node: "Node") -> "Node":
    """The node with the decorators, the `export` or the `const` in front of it."""
    while node.parent is not None and node.parent.type in _WRAPPERS:
        node = node.parent
    return node
