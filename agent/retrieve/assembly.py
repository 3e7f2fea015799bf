"""The context package: files in order of relevance, each as complete as the token budget allows."""

from collections.abc import Callable, Iterator, Sequence

from agent.retrieve.forms import Form, briefest, forms
from models.context import Candidate, ContextFile, ContextPackage, LeftOut, Relevance, SymbolJudgement
from repos.index import RepositoryIndex

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
    excluded), elided to the symbols that matter with the heads of the others, only the symbols that matter. Room is
    left for the briefest form of each file that follows. Supporting files are reduced to heads and docstrings of the
    symbols that matter. A form is never truncated: what does not fit is left out and listed, with the reason. Files
    keep their input order.
    """
    packer = _Packer(index, _by_path(symbols), budget, count)
    ordered = [
        pair for relevance in (Relevance.RELEVANT, Relevance.SUPPORTING) for pair in files if pair[1] is relevance
    ]
    reserves = packer.reserved(ordered)
    for (candidate, relevance), reserved in zip(ordered, reserves, strict=True):
        packer.add(candidate, relevance, reserved)
    return packer.package()


class _Packer:
    def __init__(
        self, index: RepositoryIndex, judged: dict[str, tuple[SymbolJudgement, ...]], budget: int, count: _Count
    ) -> None:
        self._index, self._judged, self._budget, self._count = index, judged, budget, count
        self._files: list[ContextFile] = []
        self._left: list[LeftOut] = []
        self._used = 0
        self._supporting = 0

    def reserved(self, files: Sequence[tuple[Candidate, Relevance]]) -> list[int]:
        """For each file, the tokens of all files after it in their briefest forms; of supporting ones their share."""
        if not files:
            return []
        found = [0]
        supporting = relevant = 0
        for candidate, relevance in reversed(files[1:]):
            if relevance is Relevance.SUPPORTING:
                supporting = min(supporting + self._least(candidate.path, relevance), self._supporting_budget)
            else:
                relevant += self._least(candidate.path, relevance)
            found.append(supporting + relevant)
        return found[::-1]

    def add(self, candidate: Candidate, relevance: Relevance, reserved: int) -> None:
        """Add a file in its fullest form that fits, or note why not; `reserved` tokens are left, if any form allows."""
        path = candidate.path
        if path not in self._index:
            self._left.append(LeftOut(path=path, tokens=0, reason="there is no such text file"))
            return
        most = self._budget - self._used
        if relevance is Relevance.SUPPORTING:
            most = min(most, self._supporting_budget - self._supporting)
        tokens, brief = None, None
        for form in self._forms(path, relevance):
            tokens, brief = self._count(form.text) + FRAME, form
            if tokens <= min(most, self._budget - self._used - reserved):
                self._take(candidate, relevance, form, tokens)
                return
        if tokens is not None and brief is not None and tokens <= most:
            self._take(candidate, relevance, brief, tokens)
            return
        reason = "no symbol of it matters" if tokens is None else f"{tokens} tokens, and room for {max(most, 0)}"
        self._left.append(LeftOut(path=path, tokens=tokens or 0, reason=reason))

    @property
    def _supporting_budget(self) -> int:
        return int(self._budget * SUPPORTING_SHARE)

    def _forms(self, path: str, relevance: Relevance) -> Iterator[Form]:
        return forms(self._index.file(path), relevance, self._judged.get(path, ()), self._count)

    def _least(self, path: str, relevance: Relevance) -> int:
        """The tokens of a file in its briefest form."""
        if path not in self._index:
            return 0
        brief = briefest(self._index.file(path), relevance, self._judged.get(path, ()), self._count)
        return 0 if brief is None else self._count(brief.text) + FRAME

    def _take(self, candidate: Candidate, relevance: Relevance, form: Form, tokens: int) -> None:
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
                symbols=self._judged.get(candidate.path, ()),
            )
        )
        file = self._index.file(candidate.path)
        for each in form.left:
            symbol = file.symbol(each.symbol)
            size = self._count(file.text_of(symbol)) if symbol else 0
            reason = f"{each.use.value}: its body is left out"
            self._left.append(LeftOut(path=candidate.path, symbol=each.symbol, tokens=size, reason=reason))

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
