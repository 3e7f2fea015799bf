"""The forms in which a context shows a file, from all of its text to the heads of a few symbols."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agent.retrieve.elide import elide, heads
from models.context import Relevance, SymbolJudgement, SymbolUse
from repos.index import IndexedFile

WHOLE = 1500
"""Tokens up to which a relevant file is shown whole."""
SMALL = 300
"""Tokens up to which a supporting file is shown whole."""


@dataclass(frozen=True)
class Form:
    """A text of a file, whether it is all of it, and the symbols whose bodies it leaves out."""

    text: str
    whole: bool
    left: tuple[SymbolJudgement, ...]


def forms(
    file: IndexedFile, relevance: Relevance, judged: Sequence[SymbolJudgement], count: Callable[[str], int]
) -> Iterator[Form]:
    """A file's forms, the fullest first, for the judgements of its symbols; `count` gives the tokens of a text.

    None for a supporting file of which no symbol matters.
    """
    found = _Forms(file, tuple(judged))
    if relevance is Relevance.SUPPORTING:
        if not file.symbols or count(file.text) <= SMALL:
            yield found.whole
        elif brief := found.heads(found.keep) or found.heads(found.signatures):
            yield brief
        return
    if not file.symbols or count(file.text) <= WHOLE or found.keep >= {each.name for each in file.symbols}:
        yield found.whole
    if file.symbols:
        yield found.elided(found.keep, found.signatures)
        yield found.elided(found.primary, set())  # the last where nothing is primary, as `briefest` has it
        if brief := found.heads(found.primary):
            yield brief


def briefest(
    file: IndexedFile, relevance: Relevance, judged: Sequence[SymbolJudgement], count: Callable[[str], int]
) -> Form | None:
    """The last of a file's forms, if it has any; the others are not made."""
    if relevance is Relevance.SUPPORTING or not file.symbols:
        return next(forms(file, relevance, judged, count), None)
    found = _Forms(file, tuple(judged))
    return found.heads(found.primary) or found.elided(found.primary, set())


class _Forms:
    def __init__(self, file: IndexedFile, judged: tuple[SymbolJudgement, ...]) -> None:
        self._file, self._judged = file, judged
        self.primary = self._used_as(SymbolUse.PRIMARY)
        self.keep = self._used_as(SymbolUse.PRIMARY, SymbolUse.SUPPORTING)
        self.signatures = self._used_as(SymbolUse.TYPE_CONTEXT)

    def _used_as(self, *uses: SymbolUse) -> set[str]:
        return {each.symbol for each in self._judged if each.use in uses}

    @property
    def whole(self) -> Form:
        return Form(self._file.text, True, ())

    def elided(self, keep: set[str], signatures: set[str]) -> Form:
        shown = elide(self._file.text, self._file.path, keep, signatures)
        left = tuple(each for each in self._judged if each.symbol not in keep)
        return Form(shown, shown == self._file.text, left)

    def heads(self, wanted: set[str]) -> Form | None:
        shown = heads(self._file.text, self._file.path, wanted)
        left = tuple(each for each in self._judged if each.use is not SymbolUse.EXCLUDED)
        return Form(shown, False, left) if shown else None
