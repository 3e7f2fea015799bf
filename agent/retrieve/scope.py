"""The candidates that make up a context without a judge."""

from collections.abc import Sequence

from models.context import Candidate, CandidateTier, FileJudgement, Relevance, RelevanceEstimate

RELEVANT = 0.1
"""Least probability of being relevant with which a file is shown in full; of one below it the heads are shown."""
KEPT = 0.015
"""Least probability of being relevant or half of being supporting with which a file is in the context."""
SHOWN = 20
"""Most candidates shown."""
_SUPPORTING = 0.25
"""Worth of a supporting file, of a relevant one's."""


def default_scope(candidates: Sequence[Candidate]) -> list[FileJudgement]:
    """A judgement of each candidate by the relevance classifier, for a context.

    Relevant is what is likely to be so, and the likeliest of all; supporting what may be relevant after all, what is
    likely to be supporting, and what the task names. Of more than `SHOWN` the likeliest are kept. Candidates need
    estimates.
    """
    order = sorted(range(len(candidates)), key=lambda number: (-worth(candidates[number]), number))
    judged = [_irrelevant(candidate) for candidate in candidates]
    for place, number in enumerate(order):
        candidate = candidates[number]
        estimate = estimate_of(candidate)
        if place == 0 or estimate.relevant >= RELEVANT:
            relevance = Relevance.RELEVANT
        elif (place < SHOWN and worth(candidate) >= KEPT) or candidate.tier is CandidateTier.MENTIONED:
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
