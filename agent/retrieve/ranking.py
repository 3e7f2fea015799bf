"""Candidates for a task, best first, without a model: a softmax over weighted sums of signals."""

import math
from collections.abc import Mapping, Sequence

from agent.retrieve.corpus import Corpus, corpus_of
from agent.retrieve.other_files import other_files
from agent.retrieve.outlines import short_outline
from agent.retrieve.query import Query, parse_query
from agent.retrieve.reasons import Reasons
from agent.retrieve.relevance.classifier import in_force
from agent.retrieve.relevance.evidence import Evidence
from agent.retrieve.signals import Signals, neighbours, signals
from agent.retrieve.weights import WEIGHTS
from models.context import Candidate, TaskAnalysis
from repos.index import RepositoryIndex

BESIDE = 8
"""Places at the end reserved for tests, documentation and settings."""


def rank(
    task_text: str, index: RepositoryIndex, analysis: TaskAnalysis | None = None, limit: int = 50
) -> list[Candidate]:
    """At most `limit` candidates, best first; deterministic for a revision and task.

    Production files come first, scored by the probability that the task changes them (all of them together have 1);
    then tests and other files that the task mentions. Each has an estimate by the relevance classifier in force.
    Raises ClassifierError if that cannot be read.
    """
    evidence, candidates = propose(task_text, index, analysis, limit)
    estimates = in_force().files(evidence, candidates)
    return [each.model_copy(update={"estimate": estimates[each.path]}) for each in candidates]


def propose(
    task_text: str, index: RepositoryIndex, analysis: TaskAnalysis | None = None, limit: int = 50
) -> tuple[Evidence, list[Candidate]]:
    """The candidates of `rank` without estimates, and the evidence that those are made from."""
    query = parse_query(task_text, analysis)
    corpus = corpus_of(index)
    found, chances = weighed(query, corpus)
    whole_order = in_order(chances, corpus)
    order = whole_order[: max(limit - BESIDE, 0)]
    reasons = Reasons(query, corpus, found, chances)
    candidates = []
    for number in order:
        tier, reason = reasons.of(number)
        file = corpus.files[number]
        outline = short_outline(file, reasons.symbols(number))
        candidates.append(
            Candidate(path=file.path, score=round(chances[number], 6), tier=tier, reason=reason, outline=outline)
        )
    least = candidates[-1].score if candidates else 1.0
    candidates += other_files(query, index, corpus, [corpus.paths[n] for n in order[:3]], least)[:BESIDE]
    placed = [each.model_copy(update={"rank": place}) for place, each in enumerate(candidates, start=1)]
    return Evidence(query, corpus, found, chances, whole_order), placed


def weighed(query: Query, corpus: Corpus, weights: Mapping[str, float] = WEIGHTS) -> tuple[Signals, list[float]]:
    """All signals, and each file's probability: computed once without its neighbours, then with them."""
    found = signals(query, corpus)
    found |= neighbours(softmax(weigh(found, len(corpus.files), weights)), corpus)
    return found, softmax(weigh(found, len(corpus.files), weights))


def weigh(found: Signals, size: int, weights: Mapping[str, float]) -> list[float]:
    """The weighted sum of signals for each file."""
    scores = [0.0] * size
    for name, values in found.items():
        if weight := weights.get(name, 0.0):
            for number, value in enumerate(values):
                scores[number] += weight * value
    return scores


def softmax(scores: Sequence[float]) -> list[float]:
    """Softmax of the scores."""
    most = max(scores, default=0.0)
    raised = [math.exp(score - most) for score in scores]
    whole = sum(raised)
    return [each / whole for each in raised]


def in_order(chances: Sequence[float], corpus: Corpus) -> list[int]:
    """Files by falling probability; ties by path."""
    return sorted(range(len(chances)), key=lambda number: (-chances[number], corpus.paths[number]))
