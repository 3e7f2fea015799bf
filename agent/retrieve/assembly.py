"""The context package: files in order of relevance, each as complete as the token budget allows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agent.retrieve.elide import elide, heads
from models.context import Candidate, ContextFile, ContextPackage, LeftOut, Relevance, SymbolJudgement, SymbolUse
from repos.index import RepositoryIndex

WHOLE = 1500
"""Tokens up to which a relevant file is shown whole."""
SMALL = 300
"""Tokens up to which a supporting file is shown whole."""
SUPPORTING_SHARE = 0.25
"""Share of the budget for all supporting files together."""
FRAME = 24
"""Tokens of a file's path and fence in a prompt."""
_Count = Callable[[str], int]


def assemble(
    index: RepositoryIndex,
    files: Sequence[tuple[Candidate, Relevance]],
    symbols: Sequence[SymbolJudgement],
    budget: int,
    count: Callable[[str], int],
) -> ContextPackage:
    """The package of at most `budget` tokens by `count`, framing of files included.

    Relevant files come first, each in the fullest of these forms that fits: whole (if small, or nothing of it is
    excluded), elided to the symbols that matter with the heads of the others, only the symbols that matter.
    Supporting files are reduced to heads and docstrings of the symbols that matter. A form is never truncated: what
    does not fit is left out and listed, with the reason. Files keep their input order.
    """
    packer = _Packer(index, _by_path(symbols), budget, count)
    for relevance in (Relevance.RELEVANT, Relevance.SUPPORTING):
        for candidate, judged in files:
            if judged is relevance:
                packer.add(candidate, relevance)
    return packer.package()


@dataclass(frozen=True)
class _Form:
    text: str
    whole: bool
    left: tuple[SymbolJudgement, ...]


class _Packer:
    def __init__(
        self, index: RepositoryIndex, judged: dict[str, tuple[SymbolJudgement, ...]], budget: int, count: _Count
    ) -> None:
        self._index, self._judged, self._budget, self._count = index, judged, budget, count
        self._files: list[ContextFile] = []
        self._left: list[LeftOut] = []
        self._used = 0
        self._supporting = 0

    def add(self, candidate: Candidate, relevance: Relevance) -> None:
        """Add a file in its fullest form that fits, or note why not."""
        if candidate.path not in self._index:
            self._left.append(LeftOut(path=candidate.path, tokens=0, reason="there is no such text file"))
            return
        judged = self._judged.get(candidate.path, ())
        max_prompt_tokens = self._budget - self._used
        if relevance is Relevance.SUPPORTING:
            max_prompt_tokens = min(max_prompt_tokens, int(self._budget * SUPPORTING_SHARE) - self._supporting)
        tokens = None
        for form in self._forms(candidate.path, relevance, judged):
            tokens = self._count(form.text) + FRAME
            if tokens <= max_prompt_tokens:
                self._take(candidate, relevance, form, tokens, judged)
                return
        left = max(max_prompt_tokens, 0)
        reason = "no symbol of it matters" if tokens is None else f"{tokens} tokens, and room for {left}"
        self._left.append(LeftOut(path=candidate.path, tokens=tokens or 0, reason=reason))

    def _take(
        self,
        candidate: Candidate,
        relevance: Relevance,
        form: _Form,
        tokens: int,
        judged: tuple[SymbolJudgement, ...],
    ) -> None:
        self._used += tokens
        if relevance is Relevance.SUPPORTING:
            self._supporting += tokens
        self._files.append(
            ContextFile(
                path=candidate.path,
                relevance=relevance,
                text=form.text,
                whole=form.whole,
                tokens=tokens,
                reason=candidate.reason,
                symbols=judged,
            )
        )
        file = self._index.file(candidate.path)
        for each in form.left:
            symbol = file.symbol(each.symbol)
            size = self._count(file.text_of(symbol)) if symbol else 0
            reason = f"{each.use.value}: its body is left out"
            self._left.append(LeftOut(path=candidate.path, symbol=each.symbol, tokens=size, reason=reason))

    def _forms(self, path: str, relevance: Relevance, judged: tuple[SymbolJudgement, ...]) -> Iterator[_Form]:
        """A file's forms, the fullest first."""
        file = self._index.file(path)
        text = file.text
        keep = {each.symbol for each in judged if each.use in (SymbolUse.PRIMARY, SymbolUse.SUPPORTING)}
        primary = {each.symbol for each in judged if each.use is SymbolUse.PRIMARY}
        signatures = {each.symbol for each in judged if each.use is SymbolUse.TYPE_CONTEXT}
        if relevance is Relevance.SUPPORTING:
            left = tuple(each for each in judged if each.use is not SymbolUse.EXCLUDED)
            if not file.symbols or self._count(text) <= SMALL:
                yield _Form(text, True, ())
            elif shown := heads(text, path, keep) or heads(text, path, signatures):
                yield _Form(shown, False, left)
            return
        if not file.symbols or self._count(text) <= WHOLE or keep >= {each.name for each in file.symbols}:
            yield _Form(text, True, ())
        if file.symbols:
            yield self._elided(text, path, judged, keep, signatures)
            yield self._elided(text, path, judged, primary, set())
            if primary:
                yield _Form(heads(text, path, primary), False, judged)

    @staticmethod
    def _elided(
        text: str, path: str, judged: tuple[SymbolJudgement, ...], keep: set[str], signatures: set[str]
    ) -> _Form:
        shown = elide(text, path, keep, signatures)
        return _Form(shown, shown == text, tuple(each for each in judged if each.symbol not in keep))

    def package(self) -> ContextPackage:
        """The packed context."""
        return ContextPackage(
            files=tuple(self._files), left_out=tuple(self._left), tokens=self._used, budget=self._budget
        )


def _by_path(symbols: Sequence[SymbolJudgement]) -> dict[str, tuple[SymbolJudgement, ...]]:
    found: dict[str, list[SymbolJudgement]] = {}
    for each in symbols:
        found.setdefault(each.path, []).append(each)
    return {path: tuple(judged) for path, judged in found.items()}
