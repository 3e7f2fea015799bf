"""Candidates outside the production code: tests, documentation, settings."""

from agent.retrieve.corpus import Corpus
from agent.retrieve.outlines import short_outline
from agent.retrieve.query import Query
from models.context import Candidate, CandidateTier
from repos.index import RepositoryIndex

_TESTS = 5


def other_files(
    query: Query, index: RepositoryIndex, corpus: Corpus, likely: list[str], below: float
) -> list[Candidate]:
    """Tests and other files, best first, with scores under `below`.

    First what the task names by path, then the tests that exercise the `likely` files or share words with the task.
    """
    reasons: dict[str, tuple[CandidateTier, str]] = {}
    for path in index.paths():
        if path not in corpus.numbers and _named(path, query):
            reasons[path] = (CandidateTier.MENTIONED, "the task names it")
    known = {test.path for test in corpus.tests}
    for path in likely:
        for test in index.tests_of(path)[:2]:
            if test in known:
                reasons.setdefault(test, (CandidateTier.IMPORTS, f"tests {path}"))
    scores = corpus.test_code.scores(query.terms)
    best = sorted(range(len(scores)), key=lambda number: (-scores[number], number))
    for number in best[:_TESTS]:
        if scores[number] > 0:
            reasons.setdefault(
                corpus.tests[number].path, (CandidateTier.LEXICAL, "a test that shares words with the task")
            )
    return [
        Candidate(
            path=path,
            score=round(below / (place + 2), 6),
            tier=tier,
            reason=reason,
            outline=short_outline(index.file(path)),
        )
        for place, (path, (tier, reason)) in enumerate(reasons.items())
    ]


def _named(path: str, query: Query) -> bool:
    lower = path.lower()
    return any(lower == named or lower.endswith("/" + named) or named.endswith("/" + lower) for named in query.paths)
