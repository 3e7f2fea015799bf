"""Questions of the study: a mined commit's task, the candidates of its parent's tree, and gold's class of each.

Nothing is executed: a class follows from the commit's own change, as the gold planner judges it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from agent.retrieve.ranking import rank
from agent.retrieve.relevance.classifier import in_force
from agent.retrieve.retrieval import JUDGED
from agent.retrieve.weights import WEIGHTS
from harness.mining import mine, task_text
from harness.packages.gold_patch import UnsupportedChange, read_gold_patch
from harness.planners.gold_judgements import GoldJudge
from models.context import Candidate, CandidateTier, Relevance, RelevanceEstimate
from models.errors import RepositoryError
from models.mining import MiningRules
from models.plans import Frozen
from repos.git import Git
from repos.index import IndexCache, build_index
from repos.sources import GitSource
from store.keys import digest

QUESTIONS_VERSION = 2
"""Raised when the same commits would give other questions."""
SYMBOL_CHARS = 120
"""Most characters of a candidate's symbols."""
_DEFINED = re.compile(r"\s*(?:async def |def |class )?([A-Za-z_]\w*)\s*(?:[(:=]|$)")


class StudyCandidate(Frozen):
    """A candidate as the ranking sees it, and gold's class of it.

    kind: production, test or other. symbols: the outline's first names, for a model.
    """

    path: str
    rank: int = Field(ge=1)
    score: float
    tier: CandidateTier
    reason: str
    kind: str
    symbols: str = ""
    relevance: Relevance
    estimate: RelevanceEstimate | None = None


class StudyQuestion(Frozen):
    """A commit's task and its candidates, best first."""

    repository: str
    commit: str
    task: str
    candidates: tuple[StudyCandidate, ...]


def questions_key(git: Git, commits: int) -> str:
    """The identity of a repository's questions: its history, how many commits, ranking and classifier."""
    ranking = JUDGED, dict(WEIGHTS), in_force().content
    return digest("study questions", QUESTIONS_VERSION, git.resolve("HEAD"), commits, *ranking)


def questions(git: Git, repository: str, commits: int, cache: Path) -> Iterator[StudyQuestion]:
    """The questions of the newest `commits` kept commits, the newest first; commits whose change no edit can express
    are passed over. Raises RepositoryError for a repository without a commit."""
    index_cache = IndexCache(cache)
    for commit in mine(git, MiningRules(), with_symbols=False).commits[:commits]:
        task = task_text(commit.message)
        try:
            gold = read_gold_patch(git, commit.sha, commit.parent)
        except (UnsupportedChange, RepositoryError):
            continue
        index = build_index(GitSource(git, commit.parent), index_cache)
        candidates = rank(task, index)[:JUDGED]
        classes = GoldJudge(gold).scope(candidates).files
        judged = tuple(_judged(each, index.file(each.path).kind, classes[each.path]) for each in candidates)
        if judged:
            yield StudyQuestion(repository=repository, commit=commit.sha, task=task, candidates=judged)


def root_commits(git: Git) -> frozenset[str]:
    """The commits without a parent in HEAD's history: two repositories that share one are copies of each other."""
    return frozenset(git.output("rev-list", "--max-parents=0", "HEAD").decode().split())


def _judged(candidate: Candidate, kind: str, relevance: Relevance) -> StudyCandidate:
    return StudyCandidate(
        path=candidate.path,
        rank=max(candidate.rank, 1),
        score=candidate.score,
        tier=candidate.tier,
        reason=candidate.reason,
        kind=kind,
        symbols=_symbols(candidate.outline),
        relevance=relevance,
        estimate=candidate.estimate,
    )


def _symbols(outline: str) -> str:
    """The names that an outline's lines define, as many whole ones as fit in `SYMBOL_CHARS`."""
    names: list[str] = []
    for line in outline.splitlines():
        found = _DEFINED.match(line)
        if found and found[1] not in names:
            if len(", ".join([*names, found[1]])) > SYMBOL_CHARS:
                break
            names.append(found[1])
    return ", ".join(names)
