"""Answers of the retrieval stages, read against what was asked: a judge names only what it was shown."""

from collections.abc import Sequence

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
    """What a task is about; raises PlanError for bad JSON or a wrong shape."""
    return read_answer(TaskAnalysis, text, "summary")


def parse_scope(text: str, candidates: Sequence[Candidate]) -> list[FileJudgement]:
    """The judgements of candidates, in the candidates' order; those that the answer leaves out are missing.

    Raises PlanError for a wrong shape, a file that was not shown, and one that is judged twice.
    """
    judged = {}
    for each in read_answer(ScopeJudgement, text, "files").files:
        if each.path in judged:
            raise PlanError(f"{each.path} is judged twice; give one judgement for each file")
        judged[each.path] = each
    _known(list(judged), [candidate.path for candidate in candidates], "file")
    return [judged[candidate.path] for candidate in candidates if candidate.path in judged]


def parse_precision(text: str, outlines: Sequence[FileOutline]) -> list[SymbolJudgement]:
    """The judgements of symbols, in the outlines' order; those that the answer leaves out are missing.

    Raises PlanError as `parse_scope` does.
    """
    judged = {}
    for each in read_answer(PrecisionJudgement, text, "symbols").symbols:
        if (each.path, each.symbol) in judged:
            raise PlanError(f"{each.symbol} of {each.path} is judged twice; give one judgement for each symbol")
        judged[each.path, each.symbol] = each
    shown = [(outline.path, symbol.name) for outline in outlines for symbol in outline.symbols]
    _known([f"{p} :: {s}" for p, s in judged], [f"{p} :: {s}" for p, s in shown], "symbol")
    return [judged[key] for key in shown if key in judged]


def _known(named: list[str], shown: list[str], what: str) -> None:
    strangers = sorted(set(named) - set(shown))
    if strangers:
        raise PlanError(f"{what} {strangers[0]!r} was not among those shown ({len(strangers)} such); judge those shown")
