"""Facts about one file's content, independent of its path in a repository."""

import json
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from repos.index.symbols import SymbolKind

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_SHORT = 256


class IndexedSymbol(NamedTuple):
    """A definition, lines from 1 with `end_line` included.

    `name` is qualified and numbered as in `repos.index.symbols`. `signature` is its head on one line; `doc` the first
    paragraph of its docstring; `decorators` are as written, without `@`.
    """

    name: str
    kind: SymbolKind
    start_line: int
    end_line: int
    signature: str
    doc: str
    decorators: tuple[str, ...]


class ImportedName(NamedTuple):
    """`name` of the imported module under its local name; `*` for all, empty for the module itself."""

    name: str
    here: str


class ImportStatement(NamedTuple):
    """An import, a re-export or a `require`, as written: the module with its leading dots, and the imported names."""

    module: str
    names: tuple[ImportedName, ...]
    line: int
    exported: bool = False


@dataclass(frozen=True)
class Outline:
    """The structure of a content: its symbols, imports, first paragraph of documentation.

    `attributes` maps a name that an import binds to the attributes used of it: `attr.ib` gives `attr: (ib,)`. `lines`
    counts lines. `whole` is False where syntax errors hide a part. `generated` means that the content declares itself
    generated. `settings` is the whole text of a file that configures import resolution.
    """

    symbols: tuple[IndexedSymbol, ...] = ()
    imports: tuple[ImportStatement, ...] = ()
    doc: str = ""
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lines: int = 0
    whole: bool = True
    generated: bool = False
    settings: str = ""


@dataclass(frozen=True)
class Tokens:
    """Counts: `identifiers` as written in code, `subtokens` of these, `words` (subtokens) of comments and strings.

    For content that was not parsed everything counts as words.
    """

    identifiers: Counter[str]
    subtokens: Counter[str]
    words: Counter[str]


class Record:
    """A content's outline, tokens and uses, each decoded on first use."""

    def __init__(self, parts: tuple[bytes, bytes, bytes]) -> None:
        self.parts = parts

    @classmethod
    def of(cls, outline: Outline, tokens: Tokens, uses: Mapping[str, tuple[str, ...]]) -> "Record":
        """The record with these values.

        `uses` maps each symbol, and `<module>`, to the names in its text that are not in the text of a symbol inside.
        """
        head = {
            "symbols": outline.symbols,
            "imports": outline.imports,
            "doc": outline.doc,
            "attributes": outline.attributes,
            "lines": outline.lines,
            "whole": outline.whole,
            "generated": outline.generated,
            "settings": outline.settings,
        }
        counts = [tokens.identifiers, tokens.subtokens, tokens.words]
        record = cls((_pack(head), _pack(counts), _pack(uses)))
        record.__dict__.update(outline=outline, tokens=tokens, uses=dict(uses))  # as if decoded already
        return record

    @classmethod
    def of_binary(cls) -> "Record":
        """The record of binary content."""
        return cls((b"", b"", b""))

    @property
    def binary(self) -> bool:
        """Whether the content is binary; the other attributes must not be read then."""
        return not self.parts[0]

    @cached_property
    def outline(self) -> Outline:
        """Structure."""
        found = _unpack(self.parts[0])
        return Outline(
            tuple(
                IndexedSymbol(name, SymbolKind(kind), start, end, signature, doc, tuple(decorators))
                for name, kind, start, end, signature, doc, decorators in found["symbols"]
            ),
            tuple(
                ImportStatement(module, tuple(ImportedName(*name) for name in names), line, exported)
                for module, names, line, exported in found["imports"]
            ),
            found["doc"],
            {name: tuple(asked) for name, asked in found["attributes"].items()},
            found["lines"],
            found["whole"],
            found["generated"],
            found["settings"],
        )

    @cached_property
    def tokens(self) -> Tokens:
        """Counts."""
        return Tokens(*map(Counter, _unpack(self.parts[1])))

    @cached_property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """Names in each symbol's own text, sorted."""
        return {symbol: tuple(names) for symbol, names in _unpack(self.parts[2]).items()}


def _pack(value: Any) -> bytes:
    """JSON, compressed where that saves anything."""
    text = _ENCODER.encode(value).encode("utf-8", "surrogatepass")
    return text if len(text) < _SHORT else zlib.compress(text, 1)


def _unpack(stored: bytes) -> Any:
    text = stored if stored.startswith((b"{", b"[")) else zlib.decompress(stored)
    return json.loads(text.decode("utf-8", "surrogatepass"))
