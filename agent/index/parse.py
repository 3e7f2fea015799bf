"""From the bytes of a file to its record. Nothing here looks at any other file."""

import keyword
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from agent.index.describe import described, doc_of
from agent.index.paths import is_generated
from agent.index.records import ImportStatement, Outline, Record, Tokens
from agent.index.statements import IMPORT_QUERIES, import_statements
from agent.index.symbols import MODULE, grammar, language_of, parse_tree, symbol_nodes
from agent.index.words import count_subtokens, prose_subtokens

if TYPE_CHECKING:
    from tree_sitter import Node, Query

PARSER_VERSION = 1
"""Raised whenever the same bytes would give another record."""
MAX_BYTES = 1_000_000
"""Larger files are listed and not parsed."""

TEXT, SETTINGS, GENERATED = "", "settings", "generated"
_SETTINGS_NAMES = re.compile(r"(?:.*/)?(?:package|[tj]sconfig(?:\.[\w.-]+)?)\.json")
_GENERATED = re.compile(r"@generated\b|\bdo not edit\b|\bauto(?:matically)?[ -]?generated\b", re.IGNORECASE)

_PROSE = {
    "python": "(comment) @prose (string_content) @prose",
    "javascript": "(comment) @prose (string_fragment) @prose (regex_pattern) @prose (jsx_text) @prose",
    "typescript": "(comment) @prose (string_fragment) @prose (regex_pattern) @prose",
    "tsx": "(comment) @prose (string_fragment) @prose (regex_pattern) @prose (jsx_text) @prose",
}
_NAME = re.compile(rb"[A-Za-z_$\x80-\xff][A-Za-z0-9_$\x80-\xff]*")
_CHAIN = re.compile(rb"(?<![.\w$])[A-Za-z_$][\w$]*(?:\s*\??\.\s*[A-Za-z_$][\w$]*)+")
_SCRIPT_KEYWORDS = """
    abstract any as async await boolean break case catch class const continue debugger declare default delete do else
    enum export extends false finally for from function get if implements import in instanceof interface is keyof let
    namespace never new null number object of package private protected public readonly return set static string super
    switch symbol this throw true try type typeof undefined unknown var void while with yield
"""
_KEYWORDS = {"python": frozenset(keyword.kwlist)} | dict.fromkeys(
    ("javascript", "typescript", "tsx"), frozenset(_SCRIPT_KEYWORDS.split())
)
_MINIFIED_LINE = 500
"""Characters per line, on average, above which code was not written by people."""


def form_of(path: str) -> str:
    """How a file is read: by the grammar of its language, as TEXT, as SETTINGS, or not at all (GENERATED)."""
    if is_generated(path):
        return GENERATED
    if _SETTINGS_NAMES.fullmatch(path):
        return SETTINGS
    return language_of(path) or TEXT


def is_binary(content: bytes) -> bool:
    """Whether a content is no text: it holds a NUL, as git decides it, or much that is not UTF-8."""
    head = content[:8000]
    return b"\0" in head or head.decode("utf-8", "replace").count("\ufffd") > len(head) // 4


def parse_content(content: bytes, form: str) -> Record:
    """The record of a content of at most MAX_BYTES. Never raises: what does not parse, or is not UTF-8, gives less.

    Code whose lines are very long (minified, or a table) counts as words only, as does all that is no code.
    """
    text = content.decode("utf-8", "replace")
    source = text.encode()
    lines = source.count(b"\n") + (not source.endswith(b"\n") and bool(source))
    generated = bool(_GENERATED.search(text, 0, 2000))
    if form in (TEXT, SETTINGS) or len(source) > _MINIFIED_LINE * max(lines, 4):
        outline = Outline(lines=lines, generated=generated, settings=text if form == SETTINGS else "")
        return Record.of(outline, Tokens(Counter(), Counter(), _sorted(prose_subtokens([text]))), {})
    root = parse_tree(source, form)
    captures = _captures(root, form)
    spans = sorted((node.start_byte, node.end_byte) for node in captures.get("prose", []))
    code = _without(source, spans)
    symbols = symbol_nodes(source, root)
    uses, identifiers = _uses(code, [(symbol.name, symbol.start_byte, symbol.end_byte) for symbol, _ in symbols], form)
    imports = import_statements(captures, form)
    outline = Outline(
        symbols=tuple(described(symbol, node, form) for symbol, node in symbols),
        imports=imports,
        doc=_module_doc(root, form),
        attributes=_attributes(code, imports),
        lines=lines,
        whole=not root.has_error,
        generated=generated,
    )
    prose = prose_subtokens(source[start:end].decode() for start, end in spans)
    tokens = Tokens(_sorted(identifiers), _sorted(count_subtokens(identifiers)), _sorted(prose))
    return Record.of(outline, tokens, uses)


@lru_cache(maxsize=len(_PROSE))
def _query(language: str) -> "Query":
    import tree_sitter

    return tree_sitter.Query(grammar(language), f"{_PROSE[language]} {IMPORT_QUERIES[language]}")


def _captures(root: "Node", language: str) -> dict[str, list["Node"]]:
    import tree_sitter

    return tree_sitter.QueryCursor(_query(language)).captures(root)


def _without(source: bytes, spans: list[tuple[int, int]]) -> bytes:
    """The source with blanks for the spans, which are sorted and do not overlap; positions stay."""
    pieces = []
    position = 0
    for start, end in spans:
        if start >= position:
            pieces += [source[position:start], b" " * (end - start)]
            position = end
    pieces.append(source[position:])
    return b"".join(pieces)


def _uses(
    code: bytes, symbols: list[tuple[str, int, int]], language: str
) -> tuple[dict[str, tuple[str, ...]], Counter[str]]:
    """Names by the innermost symbol whose text they are in, and how often each occurs in all."""
    found: dict[str, Counter[bytes]] = {MODULE: Counter()}
    open_: list[tuple[str, int]] = [(MODULE, len(code))]
    position = 0
    for name, start, end in [*symbols, ("", len(code), len(code))]:
        while start > position:
            owner, limit = open_[-1]
            stop = min(start, limit)
            found[owner].update(_NAME.findall(code, position, stop))
            position = stop
            if stop == limit and len(open_) > 1:
                open_.pop()
        while len(open_) > 1 and open_[-1][1] <= start:
            open_.pop()
        found.setdefault(name, Counter())
        open_.append((name, end))
    del found[""]
    keywords = _KEYWORDS[language]
    total: Counter[str] = Counter()
    uses = {}
    for name, counts in found.items():
        named = {text: times for raw, times in counts.items() if (text := raw.decode()) not in keywords}
        total.update(named)
        uses[name] = tuple(sorted(named))
    return uses, total


def _attributes(code: bytes, imports: tuple[ImportStatement, ...]) -> dict[str, tuple[str, ...]]:
    """What is asked of each name that an import binds, by the dotted chains in the code."""
    bound = {name.here for statement in imports for name in statement.names if name.here}
    asked: dict[str, set[str]] = {}
    for chain in set(_CHAIN.findall(code)) if bound else ():
        parts = b"".join(chain.split()).decode().replace("?.", ".").split(".")
        for count in range(1, len(parts)):
            if (prefix := ".".join(parts[:count])) in bound:
                asked.setdefault(prefix, set()).add(parts[count])
    return {name: tuple(sorted(asked[name])) for name in sorted(asked)}


def _module_doc(root: "Node", language: str) -> str:
    first = root.named_children[0] if root.named_child_count else None
    if first is not None and first.type == "comment" and language == "python":
        first = next((child for child in root.named_children if child.type != "comment"), None)
    return doc_of(first, language)


def _sorted(counts: Counter[str]) -> Counter[str]:
    return Counter({name: counts[name] for name in sorted(counts)})
