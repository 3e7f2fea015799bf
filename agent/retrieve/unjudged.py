"""Retrieval without a judge: by the ranking and the relevance classifier alone."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from agent.retrieve.assembly import assemble
from agent.retrieve.query import parse_query
from agent.retrieve.ranking import rank
from agent.retrieve.relevance.classifier import in_force
from agent.retrieve.relevance.estimates import SymbolEstimates, likeliest_first
from agent.retrieve.relevance.estimates import worth as symbol_worth
from agent.retrieve.relevance.symbols import FileOfSymbols
from agent.retrieve.scope import default_scope, worth
from agent.retrieve.thresholds import IN_USE, ContextThresholds
from models.context import Candidate, ContextPackage, Relevance, SymbolJudgement, SymbolUse
from models.protocols import Stage
from models.relevance import SymbolEstimate
from models.tokens import ANSWER_TOKENS, WINDOWS, estimate_tokens
from repos.index import RepositoryIndex

BUDGET = (WINDOWS[Stage.CODE] - ANSWER_TOKENS[Stage.CODE]) * 3 // 4
"""Default tokens of a context without a planner: a quarter of the window is left for plan and instructions."""


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
    return context(index, candidates, lambda kept: estimate_symbols(task_text, index, kept), budget, count)


def context(
    index: RepositoryIndex,
    candidates: Sequence[Candidate],
    estimates: Callable[[Sequence[Candidate]], SymbolEstimates],
    budget: int,
    count: Callable[[str], int],
    least: ContextThresholds = IN_USE,
) -> Ranked:
    """The context of ranked candidates; `estimates` gives those of the symbols of candidates that are kept."""
    files = tuple(
        (candidate, judgement.relevance)
        for candidate, judgement in zip(candidates, default_scope(candidates, least), strict=True)
    )
    kept = by_worth(pair for pair in files if pair[1] is not Relevance.IRRELEVANT)
    symbols = judge_symbols(estimates([candidate for candidate, _ in kept]), least)
    return Ranked(files, assemble(index, kept, symbols, budget, count))


def by_worth(files: Iterable[tuple[Candidate, Relevance]]) -> list[tuple[Candidate, Relevance]]:
    """Files in the order in which they take from the budget: relevant ones first, the likeliest before the others."""
    return sorted(files, key=lambda pair: (pair[1] is not Relevance.RELEVANT, -worth(pair[0]), pair[0].rank))


def estimate_symbols(task_text: str, index: RepositoryIndex, files: Iterable[Candidate]) -> SymbolEstimates:
    """What the relevance classifier estimates of the symbols of some candidates, those that are indexed."""
    query, classifier = parse_query(task_text), in_force()
    return {
        candidate.path: classifier.symbols(
            query, FileOfSymbols(index.file(candidate.path), candidate.rank, candidate.score)
        )
        for candidate in files
        if candidate.path in index
    }


def judge_symbols(estimates: SymbolEstimates, least: ContextThresholds = IN_USE) -> list[SymbolJudgement]:
    """The use of each symbol in a context; the likeliest to change first in each file."""
    judged = []
    for path, found in estimates.items():
        for place, name in enumerate(likeliest_first(found)):
            use = _use(found[name], least)
            if use is SymbolUse.EXCLUDED and place < least.heads:
                use = SymbolUse.TYPE_CONTEXT
            judged.append(SymbolJudgement(path=path, symbol=name, use=use))
    return judged


def _use(estimate: SymbolEstimate, least: ContextThresholds) -> SymbolUse:
    wanted = symbol_worth(estimate)
    if wanted >= least.primary:
        return SymbolUse.PRIMARY
    if wanted >= least.whole:
        return SymbolUse.SUPPORTING
    return SymbolUse.TYPE_CONTEXT if wanted + estimate.type_context / 4 >= least.head else SymbolUse.EXCLUDED
