"""Import statements as written, in each language."""

from typing import TYPE_CHECKING

from repos.index.records import ImportedName, ImportStatement

if TYPE_CHECKING:
    from tree_sitter import Node

_SCRIPT = """
    (import_statement) @import
    (export_statement source: (string)) @import
    (call_expression function: [(identifier) (import)] arguments: (arguments . (string) .)) @call
"""
IMPORT_QUERIES = {
    "python": "(import_statement) @import (import_from_statement) @import",
    "javascript": _SCRIPT,
    "typescript": _SCRIPT,
    "tsx": _SCRIPT,
}
"""Queries, by language, that capture nodes as `import` and `call` for `import_statements`."""


def import_statements(captures: dict[str, list["Node"]], language: str) -> tuple[ImportStatement, ...]:
    """Imports of a file, in the order of the text, conditional and local imports included."""
    nodes = sorted(captures.get("import", []) + captures.get("call", []), key=lambda node: node.start_byte)
    read = _python if language == "python" else _script
    return tuple(statement for node in nodes for statement in read(node))


def _text(node: "Node | None") -> str:
    return "".join((node.text or b"").decode(errors="replace").split()) if node is not None else ""


def _python(node: "Node") -> list[ImportStatement]:
    line = node.start_point.row + 1
    taken = node.children_by_field_name("name")
    if node.type == "import_statement":
        found = [_renamed(name) for name in taken]
        return [ImportStatement(name, (ImportedName("", here),), line) for name, here in found]
    module = _text(node.child_by_field_name("module_name"))
    names = tuple(ImportedName(*_renamed(name)) for name in taken)
    if any(child.type == "wildcard_import" for child in node.named_children):
        names = (ImportedName("*", ""),)
    return [ImportStatement(module, names, line)]


def _renamed(node: "Node") -> tuple[str, str]:
    """A name and its local name, of `a`, `a as b`, and their like in JavaScript."""
    name = _text(node.child_by_field_name("name")) or _text(node)
    return name, _text(node.child_by_field_name("alias")) or name


def _script(node: "Node") -> list[ImportStatement]:
    line = node.start_point.row + 1
    if node.type == "call_expression":
        if _text(node.child_by_field_name("function")) not in ("require", "import"):
            return []
        arguments = node.child_by_field_name("arguments")
        module = _string(arguments.named_children[0] if arguments is not None else None)
        return [ImportStatement(module, _required(node), line)]
    names: list[ImportedName] = []
    source = node.child_by_field_name("source")
    exported = node.type == "export_statement"
    if exported and not any(child.type in ("export_clause", "namespace_export") for child in node.named_children):
        names.append(ImportedName("*", ""))
    for clause in node.named_children:
        if clause.type == "import_require_clause":
            source = clause.child_by_field_name("source")
            names.append(ImportedName("", _text(clause.named_children[0])))
        elif clause.type == "export_clause":
            names += [ImportedName(*_renamed(child)) for child in clause.named_children if child.type != "comment"]
        elif clause.type == "namespace_export":
            names.append(ImportedName("", _text(clause.named_children[-1])))
        elif clause.type == "import_clause":
            names += [name for child in clause.named_children for name in _clause(child)]
    return [ImportStatement(_string(source), tuple(names), line, exported)] if source is not None else []


def _clause(node: "Node") -> list[ImportedName]:
    if node.type == "identifier":
        return [ImportedName("default", _text(node))]
    if node.type == "namespace_import":
        return [ImportedName("", _text(node.named_children[-1]))]
    if node.type == "named_imports":
        return [ImportedName(*_renamed(child)) for child in node.named_children if child.type == "import_specifier"]
    return []


def _required(call: "Node") -> tuple[ImportedName, ...]:
    """Names bound to a `require(...)` or `await import(...)`."""
    parent = call.parent
    while parent is not None and parent.type in ("await_expression", "parenthesized_expression"):
        parent = parent.parent
    if parent is None:
        return ()
    if parent.type == "member_expression":
        return (ImportedName(_text(parent.child_by_field_name("property")), ""),)
    target = parent.child_by_field_name("name") if parent.type == "variable_declarator" else None
    if target is None:
        return ()
    if target.type == "object_pattern":
        pairs = [
            (child.child_by_field_name("key"), child.child_by_field_name("value"), child)
            for child in target.named_children
        ]
        return tuple(ImportedName(_text(key or child), _text(value or child)) for key, value, child in pairs)
    return (ImportedName("", _text(target)),)


def _string(node: "Node | None") -> str:
    return _text(node).strip("'\"`")
