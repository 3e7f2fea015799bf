"""The candidates that make up a context without a judge."""

from collections.abc import Sequence

from agent.retrieve.thresholds import IN_USE, ContextThresholds
from models.context import Candidate, CandidateTier, FileJudgement, Relevance, RelevanceEstimate

_SUPPORTING = 0.25
"""Worth of a supporting file, of a relevant one's."""


def default_scope(candidates: Sequence[Candidate], least: ContextThresholds = IN_USE) -> list[FileJudgement]:
    """A judgement of each candidate by the relevance classifier, for a context.

    Relevant is what is likely to be so, and the likeliest of all; supporting what may be relevant after all, what is
    likely to be supporting, and what the task names. Of more than `least.shown` the likeliest are kept. Candidates
    need estimates.
    """
    order = sorted(range(len(candidates)), key=lambda number: (-worth(candidates[number]), number))
    judged = [_irrelevant(candidate) for candidate in candidates]
    for place, number in enumerate(order):
        candidate = candidates[number]
        estimate = estimate_of(candidate)
        if place == 0 or estimate.relevant >= least.relevant:
            relevance = Relevance.RELEVANT
        elif (place < least.shown and worth(candidate) >= least.kept) or candidate.tier is CandidateTier.MENTIONED:
            relevance = Relevance.SUPPORTING
        else:
            continue
        judged[number] = judged[number].model_copy(update={"relevance": relevance})
    return judged


def worth(candidate: Candidate) -> float:
    """What a file in the context is worth, from 0 to 1: that it is relevant counts more than that it is supporting."""
    estimate = estimate_of(candidate)
    return estimate.relevant + _SUPPORTING * estimate.supporting


def estimate_of(candidate: Candidate) -> RelevanceEstimate:
    """The candidate's estimate. Raises ValueError for one that was not ranked."""
    if candidate.estimate is None:
        raise ValueError(f"candidate {candidate.path} has no estimate; candidates come from `rank`")
    return candidate.estimate


def _irrelevant(candidate: Candidate) -> FileJudgement:
    return FileJudgement(path=candidate.path, relevance=Relevance.IRRELEVANT, reason=candidate.reason)
