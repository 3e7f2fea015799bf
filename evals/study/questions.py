"""Questions of the study of scope: a mined commit's task, the candidates of its parent's tree, gold's class of each.

Nothing is executed: a class follows from the commit's own change, as the gold planner judges it.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

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
from repos.index import IndexCache, RepositoryIndex, build_index
from repos.sources import GitSource
from store.keys import digest

QUESTIONS_VERSION = 2
"""Raised when the same commits would give other questions."""
SYMBOL_CHARS = 120
"""Most characters of a candidate's symbols."""
_DEFINED = re.compile(r"\s*(?:async def |def |class )?([A-Za-z_]\w*)\s*(?:[(:=]|$)")


class StudyCandidate(Frozen):
    """A candidate as the ranking sees it, and gold's class of it.

    kind: production, test or other. symbols: the outline's first names, for a model. relevance: `relevant` will have to
    change, `supporting` has to be read.
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
    """A commit's task and its candidates, best first. `FEATURES` names the features of a candidate.

    taken: the candidates that are learned from, by number from 0 (None: all); all of them describe the question.
    """

    FEATURES: ClassVar[tuple[str, ...]] = (
        "log rank", "first", "first three", "log score", "score over 0.08", "mentioned", "imports", "lexical", "test",
        "production", "__init__", "python", "log candidates", "changed before",
    )  # fmt: skip

    repository: str
    commit: str
    task: str
    candidates: tuple[StudyCandidate, ...]
    taken: tuple[int, ...] | None = Field(default=None, exclude_if=lambda taken: taken is None)

    @property
    def subject(self) -> str:
        """What it is about, unique among the questions of its repository."""
        return self.commit

    @property
    def indices(self) -> Sequence[int]:
        """The numbers, from 0, of the candidates that are learned from."""
        return range(len(self.candidates)) if self.taken is None else self.taken

    @property
    def learned_from(self) -> tuple[StudyCandidate, ...]:
        """The candidates that are learned from."""
        return tuple(self.candidates[number] for number in self.indices)

    def features(self) -> list[list[float]]:
        """What the ranking knows of each candidate, in the order of `FEATURES`."""
        return [_features(each, len(self.candidates)) for each in self.candidates]


@dataclass(frozen=True)
class MinedTask:
    """A mined commit's task, the index of its parent's tree, the candidates there, and gold's class of each by path."""

    commit: str
    task: str
    index: RepositoryIndex
    candidates: list[Candidate]
    judge: GoldJudge
    classes: dict[str, Relevance]


def questions_key(git: Git, commits: int) -> str:
    """The identity of a repository's questions: its history, how many commits, ranking and the classifier's weights."""
    fitted = in_force().file
    estimates = [each.model_dump(mode="json") for each in (fitted.production, fitted.other)]
    ranking = JUDGED, dict(WEIGHTS), estimates
    return digest("study questions", QUESTIONS_VERSION, git.resolve("HEAD"), commits, *ranking)


def questions(git: Git, repository: str, commits: int, cache: Path) -> Iterator[StudyQuestion]:
    """The questions of the newest `commits` kept commits. Raises as `mined_tasks` does."""
    for found in mined_tasks(git, commits, cache):
        judged = tuple(judged_file(found, each) for each in found.candidates)
        if judged:
            yield StudyQuestion(repository=repository, commit=found.commit, task=found.task, candidates=judged)


def mined_tasks(git: Git, commits: int, cache: Path) -> Iterator[MinedTask]:
    """The tasks of the newest `commits` kept commits, the newest first; commits whose change no edit can express are
    passed over. Raises RepositoryError for a repository without a commit."""
    index_cache = IndexCache(cache)
    for commit in mine(git, MiningRules(), with_symbols=False).commits[:commits]:
        task = task_text(commit.message)
        try:
            gold = read_gold_patch(git, commit.sha, commit.parent)
        except (UnsupportedChange, RepositoryError):
            continue
        index = build_index(GitSource(git, commit.parent), index_cache)
        candidates = rank(task, index)[:JUDGED]
        judge = GoldJudge(gold)
        yield MinedTask(commit.sha, task, index, candidates, judge, judge.scope(candidates).files)


def root_commits(git: Git) -> frozenset[str]:
    """The commits without a parent in HEAD's history: two repositories that share one are copies of each other."""
    return frozenset(git.output("rev-list", "--max-parents=0", "HEAD").decode().split())


def judged_file(found: MinedTask, candidate: Candidate) -> StudyCandidate:
    """A candidate of a mined task with gold's class."""
    return StudyCandidate(
        path=candidate.path,
        rank=max(candidate.rank, 1),
        score=candidate.score,
        tier=candidate.tier,
        reason=candidate.reason,
        kind=found.index.file(candidate.path).kind,
        symbols=_symbols(candidate.outline),
        relevance=found.classes[candidate.path],
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


def _features(candidate: StudyCandidate, candidates: int) -> list[float]:
    name = candidate.path.rpartition("/")[2]
    score = max(candidate.score, 1e-9)
    return [
        math.log(candidate.rank),
        float(candidate.rank == 1),
        float(candidate.rank <= 3),
        math.log(score),
        float(candidate.score > 0.08),
        float(candidate.tier is CandidateTier.MENTIONED),
        float(candidate.tier is CandidateTier.IMPORTS),
        float(candidate.tier is CandidateTier.LEXICAL),
        float(candidate.kind == "test"),
        float(candidate.kind == "production"),
        float(name == "__init__.py"),
        float(name.endswith(".py")),
        math.log(candidates),
        float("change" in candidate.reason),
    ]
