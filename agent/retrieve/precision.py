"""Ranking of a file's symbols by the words that rank files."""

from collections import Counter

from agent.retrieve.bm25 import Field
from agent.retrieve.query import Query, parse_query, spellings
from agent.retrieve.words import stem_counts
from models.context import SymbolJudgement, SymbolUse
from repos.index import IndexedFile, IndexedSymbol, RepositoryIndex
from repos.index.symbols import SymbolKind, base_name
from repos.index.words import prose_subtokens

_NAME, _TEXT, _DOC = 3.0, 1.0, 1.0
_PRIMARY, _SUPPORTING = 0.55, 0.3
"""Shares of the best symbol's score above which a symbol is primary or supporting."""
_MOST_PRIMARY, _MOST_SUPPORTING = 6, 8


def rank_symbols(task_text: str, index: RepositoryIndex, path: str) -> list[SymbolJudgement]:
    """A judgement of every symbol of a file, the likeliest to change first.

    `primary` are those that the task names or that match it best, `supporting` those that these use in the same file
    and weaker matches, `type_context` the other public ones, `excluded` the rest. A class is scored by its text outside
    its methods; it is at least `type_context` when one of them matters.
    """
    if path not in index or not index.file(path).symbols:
        return []
    file = index.file(path)
    scores = symbol_scores(parse_query(task_text), index, file)
    order = sorted(range(len(scores)), key=lambda number: (-scores[number], number))
    uses = _uses(file.symbols, scores, order)
    _support(uses, index, file)
    return [SymbolJudgement(path=path, symbol=file.symbols[number].name, use=uses[number]) for number in order]


def symbol_scores(query: Query, index: RepositoryIndex, file: IndexedFile) -> list[float]:
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


def _uses(symbols: tuple[IndexedSymbol, ...], scores: list[float], order: list[int]) -> dict[int, SymbolUse]:
    most = scores[order[0]]
    uses: dict[int, SymbolUse] = {}
    for place, number in enumerate(order):
        share = scores[number] / most if most > 0 else 0.0
        if share >= _PRIMARY and place < _MOST_PRIMARY:
            uses[number] = SymbolUse.PRIMARY
        elif share >= _SUPPORTING and place < _MOST_PRIMARY + _MOST_SUPPORTING:
            uses[number] = SymbolUse.SUPPORTING
        else:
            private = base_name(symbols[number].name).rpartition(".")[2].startswith("_")
            uses[number] = SymbolUse.EXCLUDED if private else SymbolUse.TYPE_CONTEXT
    return uses


def _support(uses: dict[int, SymbolUse], index: RepositoryIndex, file: IndexedFile) -> None:
    """Raise, in place, the classes around what matters and the symbols that it uses in the same file."""
    numbers = {symbol.name: number for number, symbol in enumerate(file.symbols)}
    for number in sorted(uses):
        if uses[number] is not SymbolUse.PRIMARY:
            continue
        name = file.symbols[number].name
        while "." in name:
            name = name.rpartition(".")[0]
            if name in numbers and uses[numbers[name]] is SymbolUse.EXCLUDED:
                uses[numbers[name]] = SymbolUse.TYPE_CONTEXT
        for path, used in index.dependencies(file.path, file.symbols[number].name):
            if path == file.path and used in numbers and uses[numbers[used]] is SymbolUse.EXCLUDED:
                uses[numbers[used]] = SymbolUse.TYPE_CONTEXT
