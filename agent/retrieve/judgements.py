"""Answers of the retrieval stages, checked against the request: a judge may name only what it was shown."""

from collections.abc import Iterable, Sequence

from agent.answers import read_answer
from models.context import (
    Candidate,
    FileJudgement,
    FileOutline,
    PrecisionJudgement,
    ScopeJudgement,
    SymbolJudgement,
    TaskAnalysis,
)
from models.errors import PlanError


def parse_task_analysis(text: str) -> TaskAnalysis:
    """The analysis of a task; raises PlanError for bad JSON or a wrong shape."""
    return read_answer(TaskAnalysis, text, "summary")


def parse_scope(text: str, candidates: Sequence[Candidate]) -> list[FileJudgement]:
    """The judgements of candidates, in the candidates' order, without those that the answer omits.

    Raises PlanError for a wrong shape and a file that was not shown.
    """
    judged = read_answer(ScopeJudgement, text, "files").files
    _known(judged, [candidate.path for candidate in candidates], "file")
    return [FileJudgement(path=c.path, relevance=judged[c.path]) for c in candidates if c.path in judged]


def parse_precision(text: str, outlines: Sequence[FileOutline]) -> list[SymbolJudgement]:
    """The judgements of symbols, in the outlines' order, without those that the answer omits.

    Raises PlanError as `parse_scope` does.
    """
    judged = read_answer(PrecisionJudgement, text, "symbols").symbols
    shown = [(outline.path, symbol.name) for outline in outlines for symbol in outline.symbols]
    named = [f"{path} :: {symbol}" for path, symbols in judged.items() for symbol in symbols]
    _known(named, [f"{path} :: {symbol}" for path, symbol in shown], "symbol")
    return [
        SymbolJudgement(path=path, symbol=symbol, use=judged[path][symbol])
        for path, symbol in shown
        if symbol in judged.get(path, ())
    ]


def _known(named: Iterable[str], shown: Iterable[str], what: str) -> None:
    strangers = sorted(set(named) - set(shown))
    if strangers:
        raise PlanError(f"{what} {strangers[0]!r} was not among those shown ({len(strangers)} such); judge those shown")
