"""Outlines of files by their symbols: as a short text for a judge of files, as records for a judge of symbols."""

from collections.abc import Callable, Sequence

from agent.retrieve.relevance.estimates import SymbolEstimates, chance_if_changed, likeliest_first
from models.context import Candidate, FileOutline, Relevance, SymbolOutline
from repos.index import IndexedFile, RepositoryIndex
from repos.index.symbols import SymbolKind

_SHOWN = 12
"""Symbols in a candidate's outline."""
_WIDEST = 100


def short_outline(file: IndexedFile, first: Sequence[str] = ()) -> str:
    """A file's symbols, one signature a line, indented by nesting; those in `first` take precedence.

    Shown symbols are in source order; the last line gives the number of the others.
    """
    wanted = set(first)
    ranked = sorted(
        enumerate(file.symbols),
        key=lambda pair: (
            pair[1].name not in wanted,
            pair[1].name.count("."),
            pair[1].kind is SymbolKind.CONSTANT,
            pair[0],
        ),
    )
    shown = sorted(ranked[:_SHOWN])
    lines = [f"{'  ' * symbol.name.count('.')}{_cut(symbol.signature)}" for _, symbol in shown]
    if len(file.symbols) > len(shown):
        lines.append(f"... {len(file.symbols) - len(shown)} more")
    return "\n".join(lines)


def file_outlines(
    index: RepositoryIndex,
    kept: Sequence[tuple[Candidate, Relevance]],
    estimates: SymbolEstimates,
    count: Callable[[str], int],
) -> list[FileOutline]:
    """The outlines of the files kept by scope, in their order.

    Symbols that `estimates` lacks have neither rank nor likelihood; `count` gives the tokens of a text. A file that is
    not in the index, or has no symbols, has no outline.
    """
    outlines = []
    for candidate, relevance in kept:
        path = candidate.path
        if relevance is Relevance.IRRELEVANT or path not in index:
            continue
        file = index.file(path)
        estimated = estimates.get(path, {})
        ranks = {name: place for place, name in enumerate(likeliest_first(estimated), start=1)}
        chances = {name: chance_if_changed(each.primary, candidate.estimate) for name, each in estimated.items()}
        symbols = tuple(
            SymbolOutline(
                name=symbol.name,
                kind=symbol.kind.value,
                signature=symbol.signature,
                doc=symbol.doc.partition(". ")[0][:_WIDEST],
                tokens=count(file.text_of(symbol)),
                rank=ranks.get(symbol.name, 0),
                likelihood=chances.get(symbol.name),
            )
            for symbol in file.symbols
        )
        if symbols:
            outlines.append(
                FileOutline(
                    path=path,
                    relevance=relevance,
                    symbols=symbols,
                    rank=candidate.rank,
                    score=candidate.score,
                    estimate=candidate.estimate,
                    total_symbols=len(symbols),
                )
            )
    return outlines


def _cut(signature: str) -> str:
    return signature if len(signature) <= _WIDEST else signature[: _WIDEST - 3] + "..."
