"""From the bytes of a file to its record. Nothing here looks at any other file."""

import keyword
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from agent.index.paths import is_generated
from agent.index.pieces import Piece, cut, digest_of, pack, read_piece, unpack
from agent.index.records import ImportStatement, IndexedSymbol, Outline, Record, Tokens
from agent.index.symbols import MODULE, Kind, language_of, qualified
from agent.index.words import count_subtokens, prose_subtokens

PARSER_VERSION = 1
"""Raised whenever the same bytes would give another record."""
MAX_BYTES = 1_000_000
"""Larger files are listed and not parsed."""
TEXT, SETTINGS, GENERATED = "", "settings", "generated"

_SETTINGS_NAMES = re.compile(r"(?:.*/)?(?:package|[tj]sconfig(?:\.[\w.-]+)?)\.json")
_GENERATED = re.compile(r"@generated\b|\bdo not edit\b|\bauto(?:matically)?[ -]?generated\b", re.IGNORECASE)
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


class PieceStore(Protocol):
    """Where packed pieces are kept, by their digests."""

    def find(self, language: str, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Those of the wanted pieces that are known."""
        ...

    def add(self, language: str, pieces: Mapping[bytes, bytes]) -> None:
        """Keep pieces."""
        ...


@lru_cache(maxsize=1 << 16)
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


def parse_content(content: bytes, form: str, store: PieceStore | None = None) -> Record:
    """The record of a content of at most MAX_BYTES. Never raises: what does not parse, or is not UTF-8, gives less.

    Code whose lines are very long (minified, or a table) counts as words only, as does all that is no code. What the
    store holds saves time and changes nothing.
    """
    text = content.decode("utf-8", "replace")
    source = text.encode()
    lines = source.count(b"\n") + (not source.endswith(b"\n") and bool(source))
    generated = bool(_GENERATED.search(text, 0, 2000))
    if form in (TEXT, SETTINGS) or len(source) > _MINIFIED_LINE * max(lines, 4):
        outline = Outline(lines=lines, generated=generated, settings=text if form == SETTINGS else "")
        return Record.of(outline, Tokens(Counter(), Counter(), _sorted(prose_subtokens([text]))), {})
    return _assembled(_pieces(source, form, store), form, lines, generated)


def _pieces(source: bytes, language: str, store: PieceStore | None) -> list[Piece]:
    """The pieces of a code; all of it as one where a cut went through something."""
    texts = cut(source, language)
    if len(texts) == 1:
        return [read_piece(source, language)]
    digests = [digest_of(text) for text in texts]
    known = store.find(language, digests) if store else {}
    packed = dict(known)
    for digest, text in zip(digests, texts, strict=True):
        if digest not in packed:
            piece = read_piece(text, language)
            if not piece.whole:
                return [read_piece(source, language)]
            packed[digest] = pack(piece)
    if store:
        store.add(language, {digest: packed[digest] for digest in packed if digest not in known})
    return unpack([packed[digest] for digest in digests])


def _assembled(pieces: Sequence[Piece], language: str, lines: int, generated: bool) -> Record:
    names = qualified(_own_names(pieces))
    symbols: list[IndexedSymbol] = []
    imports: list[ImportStatement] = []
    uses: dict[str, set[str]] = {MODULE: set()}
    identifiers: Counter[str] = Counter()
    words: Counter[str] = Counter()
    line = 1
    for piece in pieces:
        for symbol in piece.symbols:
            name = names[len(symbols)]
            symbols.append(
                IndexedSymbol(
                    name,
                    Kind(symbol.kind),
                    line + symbol.start,
                    line + symbol.end,
                    symbol.signature,
                    symbol.doc,
                    tuple(symbol.decorators),
                )
            )
            uses[name] = set(symbol.uses)
        imports += [each._replace(line=each.line + line - 1) for each in piece.imports]
        uses[MODULE].update(piece.uses)
        identifiers.update(piece.identifiers)
        words.update(piece.words)
        line += piece.lines
    keywords = _KEYWORDS[language]
    for name in keywords & identifiers.keys():
        del identifiers[name]
    outline = Outline(
        symbols=tuple(symbols),
        imports=tuple(imports),
        doc=pieces[0].doc,
        attributes=_attributes({chain for piece in pieces for chain in piece.chains}, imports),
        lines=lines,
        whole=all(piece.whole for piece in pieces),
        generated=generated,
    )
    tokens = Tokens(_sorted(identifiers), _sorted(count_subtokens(identifiers)), _sorted(words))
    return Record.of(outline, tokens, {name: tuple(sorted(used - keywords)) for name, used in uses.items()})


def _own_names(pieces: Sequence[Piece]) -> list[tuple[int | None, str]]:
    """Place of the surrounding symbol and own name, of all symbols of a file."""
    found: list[tuple[int | None, str]] = []
    for piece in pieces:
        before = len(found)
        found += [(None if each.parent is None else before + each.parent, each.name) for each in piece.symbols]
    return found


def _attributes(chains: set[str], imports: Sequence[ImportStatement]) -> dict[str, tuple[str, ...]]:
    """What is asked of each name that an import binds, by the dotted chains in the code."""
    bound = {name.here for statement in imports for name in statement.names if name.here}
    asked: dict[str, set[str]] = {}
    for chain in chains if bound else ():
        parts = chain.split(".")
        for count in range(1, len(parts)):
            if (prefix := ".".join(parts[:count])) in bound:
                asked.setdefault(prefix, set()).add(parts[count])
    return {name: tuple(sorted(asked[name])) for name in sorted(asked)}


def _sorted(counts: Counter[str]) -> Counter[str]:
    return Counter({name: counts[name] for name in sorted(counts)})
