"""Retrieval without a judge: by the ranking and the relevance classifier alone."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from agent.retrieve.assembly import assemble
from agent.retrieve.query import parse_query
from agent.retrieve.ranking import rank
from agent.retrieve.relevance.classifier import in_force
from agent.retrieve.relevance.symbols import FileOfSymbols
from agent.retrieve.scope import default_scope, worth
from models.context import Candidate, ContextPackage, Relevance, SymbolJudgement, SymbolUse
from models.protocols import Stage
from models.relevance import SymbolEstimate
from models.tokens import ANSWER_TOKENS, WINDOWS, estimate_tokens
from repos.index import RepositoryIndex

BUDGET = (WINDOWS[Stage.CODE] - ANSWER_TOKENS[Stage.CODE]) * 3 // 4
"""Default tokens of a context without a planner: a quarter of the window is left for plan and instructions."""
PRIMARY, WHOLE, HEAD = 0.15, 0.04, 0.08
"""Least worth of a symbol that counts as one that changes, that is shown whole, and of which the head is shown."""


@dataclass(frozen=True)
class Ranked:
    """Candidates, best first, with the relevance of each, and the context made of them."""

    files: tuple[tuple[Candidate, Relevance], ...]
    package: ContextPackage


def retrieve_by_rank(
    task_text: str,
    index: RepositoryIndex,
    budget: int = BUDGET,
    count: Callable[[str], int] = estimate_tokens,
) -> Ranked:
    """Rank files, take the likely ones, judge their symbols, assemble at most `budget` tokens by `count`."""
    candidates = rank(task_text, index)
    files = tuple(
        (candidate, judgement.relevance)
        for candidate, judgement in zip(candidates, default_scope(candidates), strict=True)
    )
    kept = by_worth(pair for pair in files if pair[1] is not Relevance.IRRELEVANT)
    symbols = default_precision(task_text, index, [candidate for candidate, _ in kept])
    return Ranked(files, assemble(index, kept, symbols, budget, count))


def by_worth(files: Iterable[tuple[Candidate, Relevance]]) -> list[tuple[Candidate, Relevance]]:
    """Files in the order in which they take from the budget: relevant ones first, the likeliest before the others."""
    return sorted(files, key=lambda pair: (pair[1] is not Relevance.RELEVANT, -worth(pair[0]), pair[0].rank))


def default_precision(task_text: str, index: RepositoryIndex, files: Sequence[Candidate]) -> list[SymbolJudgement]:
    """A judgement of every symbol of some candidates by the relevance classifier, for a context; the likeliest to
    change first in each file."""
    query, classifier = parse_query(task_text), in_force()
    judged = []
    for candidate in files:
        if candidate.path not in index:
            continue
        file = index.file(candidate.path)
        found = classifier.symbols(query, FileOfSymbols(file, candidate.rank, candidate.score))
        order = sorted(found, key=lambda name: -_symbol_worth(found[name]))
        judged += [SymbolJudgement(path=candidate.path, symbol=name, use=_use(found[name])) for name in order]
    return judged


def _symbol_worth(estimate: SymbolEstimate) -> float:
    return estimate.primary + estimate.supporting / 4


def _use(estimate: SymbolEstimate) -> SymbolUse:
    worth = _symbol_worth(estimate)
    if worth >= PRIMARY:
        return SymbolUse.PRIMARY
    if worth >= WHOLE:
        return SymbolUse.SUPPORTING
    return SymbolUse.TYPE_CONTEXT if worth + estimate.type_context / 4 >= HEAD else SymbolUse.EXCLUDED
