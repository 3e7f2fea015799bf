"""The candidates that make up a context without a judge."""

from collections.abc import Sequence

from models.context import Candidate, CandidateTier, FileJudgement, Relevance

RELEVANT_SCORE = 0.08
"""A candidate's share of the total probability above which it counts as one that will change."""
MOST_RELEVANT = 5
SHOWN = 12
"""Most candidates shown."""


def default_scope(candidates: Sequence[Candidate]) -> list[FileJudgement]:
    """A judgement of each candidate by its rank and score: the likeliest relevant, the next supporting."""
    judged = []
    for place, candidate in enumerate(candidates):
        likely = candidate.score >= RELEVANT_SCORE and place < MOST_RELEVANT
        if place == 0 or likely:
            relevance = Relevance.RELEVANT
        elif place < SHOWN or candidate.tier is CandidateTier.MENTIONED:
            relevance = Relevance.SUPPORTING
        else:
            relevance = Relevance.IRRELEVANT
        judged.append(FileJudgement(path=candidate.path, relevance=relevance, reason=candidate.reason))
    return judged
