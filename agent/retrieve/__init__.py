"""Retrieval: candidates by rank, judgements of files and symbols, and the context made of them."""

from agent.retrieve.assembly import assemble
from agent.retrieve.elide import elide
from agent.retrieve.outlines import file_outlines
from agent.retrieve.ranking import rank
from agent.retrieve.scope import default_scope
from agent.retrieve.unjudged import Ranked, by_worth, estimate_symbols, judge_symbols, retrieve_by_rank

__all__ = [
    "Ranked",
    "assemble",
    "by_worth",
    "default_scope",
    "elide",
    "estimate_symbols",
    "file_outlines",
    "judge_symbols",
    "rank",
    "retrieve_by_rank",
]
