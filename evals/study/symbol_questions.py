"""Questions of the study of precision: a mined commit's task, a file that it changes, and gold's class of each symbol.

Of the four classes of precision, `type_context` counts as excluded here: of either, the body is left out.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from agent.prompts.shorten import one_line
from agent.retrieve import file_outlines
from agent.retrieve.precision import symbol_scores
from agent.retrieve.query import parse_query
from agent.retrieve.relevance.classifier import in_force
from agent.retrieve.retrieval import JUDGED
from agent.retrieve.unjudged import estimate_symbols
from agent.retrieve.weights import WEIGHTS
from evals.study.questions import MinedTask, StudyCandidate, StudyQuestion, judged_file, mined_tasks
from models.context import Candidate, Relevance, RelevanceEstimate, SymbolUse
from models.tokens import estimate_tokens
from repos.git import Git
from repos.index.symbols import SymbolKind
from store.keys import digest

SYMBOL_QUESTIONS_VERSION = 1
"""Raised when the same commits would give other questions."""
_CLASSES = {SymbolUse.PRIMARY: Relevance.RELEVANT, SymbolUse.SUPPORTING: Relevance.SUPPORTING}
_KINDS = (SymbolKind.FUNCTION, SymbolKind.CLASS, SymbolKind.METHOD, SymbolKind.CONSTANT)


class SymbolCandidate(StudyCandidate):
    """A symbol as the prompt of precision shows it, and gold's class of it: `relevant` is primary.

    path, tier, reason: its file's. rank: its place in the file by `score`, the share of the best score of the file's
    symbols by the task's words. kind: function, class, ... place: its place by the relevance classifier, which the
    prompt calls its rank. tokens: of its whole text. estimate: the classifier's P(primary) and P(supporting).
    """

    name: str
    signature: str
    doc: str = ""
    tokens: int = Field(ge=0)
    place: int = Field(ge=1)


class SymbolQuestion(StudyQuestion):
    """A commit's task, a file that it changes, and the file's symbols, those of the best rank first."""

    FEATURES: ClassVar[tuple[str, ...]] = (
        "log rank", "first", "first three", "log score", "score over 0.55", "no score",
        *(kind.value for kind in _KINDS), "private", "dunder", "nesting", "documented", "log tokens", "log candidates",
        "log rank of the file", "log score of the file", "log share",
    )  # fmt: skip

    file: StudyCandidate
    candidates: tuple[SymbolCandidate, ...]

    @property
    def subject(self) -> str:
        """Commit and path."""
        return f"{self.commit} {self.file.path}"

    def features(self) -> list[list[float]]:
        """What the ranking knows of each symbol, in the order of `FEATURES`."""
        shared = [math.log(len(self.candidates)), math.log(self.file.rank), math.log(max(self.file.score, 1e-9))]
        total = sum(each.score for each in self.candidates) or 1.0
        return [[*_features(each), *shared, math.log(max(each.score / total, 1e-4))] for each in self.candidates]


def symbol_questions_key(git: Git, commits: int) -> str:
    """The identity of a repository's questions, as that of the questions of scope; symbols are estimated as well."""
    fitted = in_force().file
    estimates = [each.model_dump(mode="json") for each in (fitted.production, fitted.other, fitted.symbols)]
    ranking = JUDGED, dict(WEIGHTS), estimates
    return digest("study symbol questions", SYMBOL_QUESTIONS_VERSION, git.resolve("HEAD"), commits, *ranking)


def symbol_questions(git: Git, repository: str, commits: int, cache: Path) -> Iterator[SymbolQuestion]:
    """The questions of the newest `commits` kept commits: one for each candidate with symbols that the commit changes.

    Raises as `mined_tasks` does.
    """
    for found in mined_tasks(git, commits, cache):
        for each in found.candidates:
            if found.classes[each.path] is Relevance.RELEVANT and (symbols := _symbols(found, each)):
                yield SymbolQuestion(
                    repository=repository,
                    commit=found.commit,
                    task=found.task,
                    file=judged_file(found, each),
                    candidates=symbols,
                )


def _symbols(found: MinedTask, candidate: Candidate) -> tuple[SymbolCandidate, ...]:
    """The symbols of a candidate, best first, as the prompt of precision outlines them."""
    estimates = estimate_symbols(found.task, found.index, [candidate])
    outlines = file_outlines(found.index, [(candidate, Relevance.RELEVANT)], estimates, estimate_tokens)
    if not outlines:
        return ()
    [outline] = outlines
    uses, chances = found.judge.precision(outlines).symbols[outline.path], estimates[outline.path]
    scores = symbol_scores(parse_query(found.task), found.index.file(outline.path))
    best = max(scores) or 1.0
    order = sorted(range(len(scores)), key=lambda number: (-scores[number], number))
    return tuple(
        SymbolCandidate(
            path=outline.path,
            rank=rank,
            score=round(scores[number] / best, 6),
            tier=candidate.tier,
            reason=candidate.reason,
            kind=symbol.kind,
            relevance=_CLASSES.get(uses[symbol.name], Relevance.IRRELEVANT),
            estimate=RelevanceEstimate(
                relevant=chances[symbol.name].primary, supporting=chances[symbol.name].supporting
            ),
            name=symbol.name,
            signature=one_line(symbol.signature),
            doc=one_line(symbol.doc),
            tokens=symbol.tokens,
            place=symbol.rank,
        )
        for rank, number in enumerate(order, start=1)
        for symbol in [outline.symbols[number]]
    )


def _features(symbol: SymbolCandidate) -> list[float]:
    last = symbol.name.rpartition(".")[2]
    return [
        math.log(symbol.rank),
        float(symbol.rank == 1),
        float(symbol.rank <= 3),
        math.log(max(symbol.score, 1e-3)),
        float(symbol.score >= 0.55),
        float(symbol.score == 0),
        *(float(symbol.kind == kind.value) for kind in _KINDS),
        float(last.startswith("_") and not last.startswith("__")),
        float(last.startswith("__")),
        float(symbol.name.count(".")),
        float(bool(symbol.doc)),
        math.log1p(symbol.tokens),
    ]
