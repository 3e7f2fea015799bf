"""Retrieval without a judge: by rank alone."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.retrieve.assembly import assemble
from agent.retrieve.precision import rank_symbols
from agent.retrieve.ranking import rank
from agent.retrieve.scope import default_scope
from models.context import Candidate, ContextPackage, Relevance
from models.protocols import Stage
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
    """Rank files, take the likely ones, rank their symbols, assemble at most `budget` tokens by `count`."""
    candidates = rank(task_text, index)
    files = tuple(
        (candidate, judgement.relevance)
        for candidate, judgement in zip(candidates, default_scope(candidates), strict=True)
    )
    kept = [pair for pair in files if pair[1] is not Relevance.IRRELEVANT]
    symbols = [each for candidate, _ in kept for each in rank_symbols(task_text, index, candidate.path)]
    return Ranked(files, assemble(index, kept, symbols, budget, count))
