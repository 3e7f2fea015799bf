"""Retrieval: candidates by rank, judgements of files and symbols, and the context made of them."""

from agent.retrieve.assembly import assemble
from agent.retrieve.elide import elide
from agent.retrieve.outlines import file_outlines
from agent.retrieve.precision import rank_symbols
from agent.retrieve.ranking import rank
from agent.retrieve.scope import default_scope
from agent.retrieve.unjudged import Ranked, retrieve_by_rank

__all__ = [
    "Ranked",
    "assemble",
    "default_scope",
    "elide",
    "file_outlines",
    "rank",
    "rank_symbols",
    "retrieve_by_rank",
]
