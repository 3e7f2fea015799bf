"""Scores of a file's symbols by the words that rank files."""

from collections import Counter

from agent.retrieve.bm25 import Field
from agent.retrieve.query import Query, spellings
from agent.retrieve.words import stem_counts
from repos.index import IndexedFile, IndexedSymbol
from repos.index.symbols import SymbolKind, base_name
from repos.index.words import prose_subtokens

_NAME, _TEXT, _DOC = 3.0, 1.0, 1.0


def symbol_scores(query: Query, file: IndexedFile) -> list[float]:
    """Scores of a file's symbols, in source order: names in the task, places in tracebacks, shared words."""
    symbols = file.symbols
    names = Field([stem_counts(Counter([base_name(symbol.name).rpartition(".")[2]])) for symbol in symbols], length=0.3)
    texts = Field([stem_counts(Counter(dict.fromkeys(file.uses.get(symbol.name, ()), 1))) for symbol in symbols])
    docs = Field([stem_counts(prose_subtokens([symbol.doc])) for symbol in symbols], length=0.5)
    by_name, by_text, by_doc = names.scores(query.terms), texts.scores(query.terms), docs.scores(query.terms)
    scores = [
        _NAME * name + _TEXT * text + _DOC * doc for name, text, doc in zip(by_name, by_text, by_doc, strict=True)
    ]
    most = max(scores, default=0.0) or 1.0
    named = {spelling for name in query.names for spelling in spellings(name)}
    plain = set(query.plain)
    for number, symbol in enumerate(symbols):
        name = base_name(symbol.name)
        last = name.rpartition(".")[2]
        if name in named or (last in named and len(last) > 2):
            scores[number] += 2 * most
        elif last in plain and len(last) > 3:
            scores[number] += most
        if any(_in(symbol, line) for place, line in query.frames if _same(place, file.path)):
            scores[number] += 2 * most
    return scores


def _in(symbol: IndexedSymbol, line: int) -> bool:
    return symbol.kind is not SymbolKind.CLASS and symbol.start_line <= line <= symbol.end_line


def _same(place: str, path: str) -> bool:
    return place == path or place.endswith("/" + path) or path.endswith("/" + place.lstrip("./"))
