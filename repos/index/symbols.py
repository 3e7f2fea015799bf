"""Symbols of a file and their spans: functions, classes, methods, types, constants; by tree-sitter.

Spans include decorators and `export`, but not leading comments. A name that is defined more than once in its scope
(overloads, property setters, the two arms of an `if`) is numbered: `Class.size#1`, `Class.size#2`.
"""

import importlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node

MODULE = "<module>"
"""The whole file, or the code outside every symbol."""
IMPORTS = "<imports>"
"""The first run of import statements at the top level."""


class SymbolKind(StrEnum):
    """The kind of a symbol. Types are interfaces, aliases, enums and namespaces."""

    FUNCTION = "function"
    CLASS = "class"
    METHOD = "method"
    CONSTANT = "constant"
    TYPE = "type"
    IMPORTS = "imports"


@dataclass(frozen=True)
class Symbol:
    """A named span: bytes `[start_byte, end_byte)` of the UTF-8 text, lines from 1, `end_line` included.

    `own_lines` means that no other code shares its first and last line: it can be replaced by whole lines.
    """

    name: str
    kind: SymbolKind
    start_byte: int
    end_byte: int
    start_line: int
    end_line: int
    own_lines: bool


_LANGUAGES = {
    ".py": "python", ".pyi": "python",
    ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
}  # fmt: skip
_GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
}
_DESCEND = frozenset(
    {
        "module", "program", "block", "class_body", "statement_block", "ERROR", "if_statement",
        "elif_clause", "else_clause", "try_statement", "except_clause", "except_group_clause",
        "finally_clause", "finally_body", "catch_clause", "with_statement", "for_statement",
        "while_statement", "do_statement", "for_in_statement", "match_statement", "case_clause",
        "switch_statement", "switch_body", "switch_case", "switch_default", "labeled_statement",
    }
)  # fmt: skip
_WRAPPERS = frozenset(
    {
        "decorated_definition", "export_statement", "ambient_declaration", "expression_statement",
    }
)  # fmt: skip
_FUNCTIONS = frozenset(
    {
        "function_definition", "function_declaration", "generator_function_declaration",
        "function_signature", "method_definition", "method_signature", "abstract_method_signature",
        "function_expression", "generator_function", "arrow_function",
    }
)  # fmt: skip
_CLASSES = frozenset({"class_definition", "class_declaration", "abstract_class_declaration", "class"})
_TYPES = frozenset(
    {
        "interface_declaration", "type_alias_declaration", "enum_declaration", "internal_module", "module",
        "type_alias_statement",
    }
)  # fmt: skip
_FIELDS = frozenset({"public_field_definition", "field_definition"})
_IMPORTS = frozenset({"import_statement", "import_from_statement", "future_import_statement"})


def language_of(path: str) -> str | None:
    """Grammar for a path by its suffix, or None for a language without one."""
    stem, dot, suffix = path.rpartition("/")[2].rpartition(".")
    return _LANGUAGES.get(f"{dot}{suffix}".lower()) if stem else None


def base_name(name: str) -> str:
    """A qualified name without the numbers of repeated definitions: `C.size#2` -> `C.size`."""
    return re.sub(r"#\d+(?=\.|\Z)", "", name)


def symbols(text: str, path: str) -> list[Symbol]:
    """Symbols of a file in the order of their first byte, outer before inner; empty for an unknown language.

    A file with syntax errors gives the symbols that parse.
    """
    language = language_of(path)
    return list(_outline(text, language)[0]) if language else []


def import_block(text: str, path: str) -> Symbol | None:
    """The span of the first run of top-level imports, under the name `<imports>`; None if there is none."""
    language = language_of(path)
    return _outline(text, language)[1] if language else None


@lru_cache(maxsize=len(_GRAMMARS))
def grammar(language: str) -> "Language":
    """The grammar of a language returned by `language_of`."""
    import tree_sitter  # loaded on first use

    module, function = _GRAMMARS[language]
    return tree_sitter.Language(getattr(importlib.import_module(module), function)())


def parse_tree(source: bytes, language: str) -> "Node":
    """The root of a syntax tree, by a new parser: parsers must not be shared between threads."""
    import tree_sitter

    return tree_sitter.Parser(grammar(language)).parse(source).root_node


@dataclass(frozen=True)
class Definition:
    """A definition in a syntax tree: the index of the enclosing one, its own name, its first and last node.

    `node` is the last without its wrapping (decorators, `export`).
    """

    parent: int | None
    name: str
    kind: SymbolKind
    start: "Node"
    end: "Node"
    node: "Node"


@lru_cache(maxsize=256)
def _outline(text: str, language: str) -> tuple[tuple[Symbol, ...], Symbol | None]:
    source = text.encode()
    root = parse_tree(source, language)
    return tuple(symbol for symbol, _ in symbol_nodes(source, root)), _imports(source, root)


def symbol_nodes(source: bytes, root: "Node") -> list[tuple[Symbol, "Node"]]:
    """The symbols of a syntax tree, each with its node: for decorated or exported ones the definition itself."""
    found = list(definitions(root))
    names = qualified([(each.parent, each.name) for each in found])
    return [
        (_symbol(source, name, each.kind, each.start, each.end), each.node)
        for name, each in zip(names, found, strict=True)
    ]


def qualified(names: Sequence[tuple[int | None, str]]) -> list[str]:
    """Full names of definitions, each given by the index of the enclosing one (None for none) and its own name."""
    repeated = Counter(names)
    seen: Counter[tuple[int | None, str]] = Counter()
    found: list[str] = []
    for key in names:
        parent, name = key
        if repeated[key] > 1:
            seen[key] += 1
            name = f"{name}#{seen[key]}"
        found.append(name if parent is None else f"{found[parent]}.{name}")
    return found


def definitions(root: "Node") -> Iterator[Definition]:
    """Definitions in document order; with an explicit stack, because nesting depth is untrusted input."""
    count = 0
    stack: list[tuple[Node, int | None, bool]] = [(root, None, False)]
    while stack:
        node, parent, in_class = stack.pop()
        inner = _unwrap(node)
        described = _describe(inner, parent is None) if node is not root else None
        if described is not None:
            name, kind = described
            if kind is SymbolKind.FUNCTION and in_class:
                kind = SymbolKind.METHOD
            yield Definition(parent, name, kind, _first(node), node, inner)
            body = inner.child_by_field_name("body") or _value(inner)
            if body is not None and kind is not SymbolKind.CONSTANT:
                body = body.child_by_field_name("body") or body
                stack.extend((child, count, kind is SymbolKind.CLASS) for child in reversed(body.named_children))
            count += 1
        elif inner.type in _DESCEND:
            stack.extend((child, parent, in_class) for child in reversed(inner.named_children))


def _unwrap(node: "Node") -> "Node":
    while node.type in _WRAPPERS:
        inner = (
            node.child_by_field_name("definition")
            or node.child_by_field_name("declaration")
            or node.child_by_field_name("value")
            or next((child for child in node.named_children if child.type not in ("decorator", "comment")), None)
        )
        if inner is None:
            break
        node = inner
    return node


def _first(node: "Node") -> "Node":
    """The first decorator of a TypeScript method, which the grammar makes its sibling, else the node itself."""
    sibling = node.prev_named_sibling
    while sibling is not None and sibling.type == "decorator":
        node, sibling = sibling, sibling.prev_named_sibling
    return node


def _text(node: "Node | None") -> str | None:
    if node is None or node.text is None:
        return None
    return node.text.decode(errors="replace")


def _value(node: "Node") -> "Node | None":
    """The function or class that a declaration, assignment or field binds to a name."""
    if node.type in ("lexical_declaration", "variable_declaration"):
        declarators = [child for child in node.named_children if child.type == "variable_declarator"]
        node = declarators[0] if len(declarators) == 1 else node
    value = node.child_by_field_name("value") or node.child_by_field_name("right")
    return value if value is not None and value.type in _FUNCTIONS | _CLASSES else None


def _alias(node: "Node") -> str | None:
    """The name that a Python `type` statement defines; None for `type(self).n = 1`, which the grammar takes for one."""
    found = re.match(r"([^\W\d]\w*)\s*(?:\[|\Z)", _text(node.child_by_field_name("left")) or "")
    return found[1] if found else None


def _describe(node: "Node", at_module_level: bool) -> tuple[str, SymbolKind] | None:
    """Local name and kind of a definition; None for a node that defines no listed symbol."""
    name = _text(node.child_by_field_name("name"))
    if node.type in _FUNCTIONS | _CLASSES:
        exported = node.parent is not None and node.parent.type == "export_statement"
        name = name or ("default" if exported else None)
        kind = SymbolKind.CLASS if node.type in _CLASSES else SymbolKind.FUNCTION
        return (name, kind) if name else None
    if node.type in _TYPES:
        name = name or _alias(node)
        return (name.strip("'\""), SymbolKind.TYPE) if name else None
    value = _value(node)
    kind = SymbolKind.CLASS if value is not None and value.type in _CLASSES else SymbolKind.FUNCTION
    if node.type in _FIELDS:
        name = name or _text(node.child_by_field_name("property"))
        return (name, kind) if name and value is not None else None
    if node.type in ("lexical_declaration", "variable_declaration"):
        declarators = [child for child in node.named_children if child.type == "variable_declarator"]
        name = _text(declarators[0].child_by_field_name("name")) if len(declarators) == 1 else None
        if name is None or not name.replace("$", "_").isidentifier():
            return None
        return (name, kind) if value is not None else (name, SymbolKind.CONSTANT) if at_module_level else None
    if node.type in ("assignment", "assignment_expression"):
        left = node.child_by_field_name("left")
        if left is not None and left.type == "member_expression" and value is not None:
            return "".join((_text(left) or "").split()), kind
        if left is not None and left.type == "identifier" and at_module_level:
            return _text(left) or "", kind if value is not None else SymbolKind.CONSTANT
    return None


def _symbol(source: bytes, name: str, kind: SymbolKind, first: "Node", last: "Node") -> Symbol:
    start, end = first.start_byte, last.end_byte
    before = source[source.rfind(b"\n", 0, start) + 1 : start].removeprefix(b"\xef\xbb\xbf")
    stop = source.find(b"\n", end)
    after = source[end : stop if stop >= 0 else len(source)].strip().lstrip(b";,").lstrip()
    alone = not before.strip() and (not after or after.startswith((b"#", b"//")))
    return Symbol(name, kind, start, end, first.start_point.row + 1, last.end_point.row + 1, alone)


def _imports(source: bytes, root: "Node") -> Symbol | None:
    run: list[Node] = []
    for child in root.named_children:
        if child.type in _IMPORTS:
            run.append(child)
        elif run and child.type != "comment":
            break
    return _symbol(source, IMPORTS, SymbolKind.IMPORTS, run[0], run[-1]) if run else None
