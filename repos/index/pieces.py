"""Pieces of code parsed separately: the record of a file is assembled from those of its pieces.

Long Python files are cut where a function or class begins at the left margin, so that versions of a file share most of
their pieces and only the others need to be parsed.
"""

import json
import keyword
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from repos.index.describe import described, doc_of
from repos.index.records import ImportedName, ImportStatement
from repos.index.statements import IMPORT_QUERIES, import_statements
from repos.index.symbols import definitions, grammar, parse_tree
from repos.index.words import prose_subtokens

if TYPE_CHECKING:
    from tree_sitter import Node, Query

_LONG = 4000
"""Size in bytes above which a file is cut."""
_PROSE = {
    "python": "(comment) @prose (string_content) @prose",
    "javascript": "(comment) @prose (string_fragment) @prose (regex_pattern) @prose (jsx_text) @prose",
    "typescript": "(comment) @prose (string_fragment) @prose (regex_pattern) @prose",
    "tsx": "(comment) @prose (string_fragment) @prose (regex_pattern) @prose (jsx_text) @prose",
}
_SCRIPT_KEYWORDS = """
    abstract any as async await boolean break case catch class const continue debugger declare default delete do else
    enum export extends false finally for from function get if implements import in instanceof interface is keyof let
    namespace never new null number object of package private protected public readonly return set static string super
    switch symbol this throw true try type typeof undefined unknown var void while with yield
"""
_KEYWORDS = {"python": frozenset(keyword.kwlist)} | dict.fromkeys(
    ("javascript", "typescript", "tsx"), frozenset(_SCRIPT_KEYWORDS.split())
)
_NAME = re.compile(rb"[A-Za-z_$\x80-\xff][A-Za-z0-9_$\x80-\xff]*")
_CHAIN = re.compile(rb"(?<![.\w$])[A-Za-z_$][\w$]*(?:\s*\??\.\s*[A-Za-z_$][\w$]*)+")
_CUT = re.compile(rb"\n(?:(?:def|class|async[ ]+def)\b|(?P<decorator>@))")


class PieceSymbol(NamedTuple):
    """A definition: index of the enclosing one, own name, kind, lines from 0, description, names in its text."""

    parent: int | None
    name: str
    kind: str
    start: int
    end: int
    signature: str
    doc: str
    decorators: Sequence[str]
    uses: Sequence[str]


class Piece(NamedTuple):
    """The facts parsed from a piece of code. Lines are counted from 0.

    `uses` are the names outside all symbols, `chains` the dotted names, `doc` its docstring if it is a module.
    """

    symbols: Sequence[PieceSymbol]
    imports: Sequence[ImportStatement]
    chains: Sequence[str]
    uses: Sequence[str]
    identifiers: dict[str, int]
    words: dict[str, int]
    doc: str
    lines: int
    whole: bool


def cut(source: bytes, language: str) -> list[bytes]:
    """The pieces in which a file is parsed; concatenated they are the file."""
    if language != "python" or len(source) < _LONG:
        return [source]
    starts = [0]
    decorated = False
    for found in _CUT.finditer(source):
        if not decorated:
            starts.append(found.start() + 1)
        decorated = found["decorator"] is not None
    return [source[start:end] for start, end in zip(starts, [*starts[1:], len(source)], strict=True)]


def digest_of(piece: bytes) -> bytes:
    """The key of a piece."""
    return blake2b(piece, digest_size=20).digest()


def read_piece(source: bytes, language: str) -> Piece:
    """Parse a piece of code."""
    root = parse_tree(source, language)
    captures = _captures(root, language)
    spans = sorted((node.start_byte, node.end_byte) for node in captures.get("prose", []))
    code = _without(source, spans)
    found = list(definitions(root))
    uses, identifiers = _uses(code, [(each.start.start_byte, each.end.end_byte) for each in found], language)
    return Piece(
        symbols=[
            PieceSymbol(
                each.parent, each.name, each.kind.value, each.start.start_point.row, each.end.end_point.row,
                *described(each.node, each.kind, language), names,
            )
            for each, names in zip(found, uses[1:], strict=True)
        ],
        imports=import_statements(captures, language),
        chains=sorted({b"".join(chain.split()).decode().replace("?.", ".") for chain in _CHAIN.findall(code)}),
        uses=uses[0],
        identifiers=identifiers,
        words=prose_subtokens(source[start:end].decode() for start, end in spans),
        doc=_module_doc(root, language),
        lines=source.count(b"\n"),
        whole=not root.has_error,
    )  # fmt: skip


def pack(piece: Piece) -> bytes:
    """A piece as JSON."""
    return json.dumps(piece, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def unpack(packed: bytes) -> Piece:
    """A piece from its JSON."""
    return _piece(*json.loads(packed.decode("utf-8", "surrogatepass")))


def _piece(symbols: Any, imports: Any, chains: Any, uses: Any, identifiers: Any, words: Any, *rest: Any) -> Piece:
    return Piece(
        [PieceSymbol(*symbol) for symbol in symbols],
        [
            ImportStatement(module, tuple(ImportedName(*name) for name in names), line, exported)
            for module, names, line, exported in imports
        ],
        chains, uses, identifiers, words, *rest,
    )  # fmt: skip


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


def _uses(code: bytes, symbols: list[tuple[int, int]], language: str) -> tuple[list[list[str]], Counter[str]]:
    """Names outside all symbols, then those of each symbol outside its inner ones; and how often each occurs."""
    found: list[Counter[bytes]] = [Counter() for _ in range(len(symbols) + 1)]
    open_ = [(0, len(code))]
    position = 0
    for number, (start, end) in enumerate([*symbols, (len(code), len(code))], 1):
        while start > position:
            owner, limit = open_[-1]
            stop = min(start, limit)
            found[owner].update(_NAME.findall(code, position, stop))
            position = stop
            if stop == limit and len(open_) > 1:
                open_.pop()
        while len(open_) > 1 and open_[-1][1] <= start:
            open_.pop()
        open_.append((number, end))
    keywords = _KEYWORDS[language]
    total: Counter[str] = Counter()
    uses = []
    for counts in found:
        named = {text: times for name, times in counts.items() if (text := name.decode()) not in keywords}
        total.update(named)
        uses.append(sorted(named))
    return uses, total


def _module_doc(root: "Node", language: str) -> str:
    first = root.named_children[0] if root.named_child_count else None
    if first is not None and first.type == "comment" and language == "python":
        first = next((child for child in root.named_children if child.type != "comment"), None)
    return doc_of(first, language)
