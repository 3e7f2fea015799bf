"""Answers of the retrieval stages, checked against the request: a judge may name only what it was shown.

An answer of scope or precision is read in either form of `AnswerForm`, whichever was asked for.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from agent.answers import as_answer, read_answer, read_object
from models.context import (
    Candidate,
    FileJudgement,
    FileOutline,
    PrecisionJudgement,
    Relevance,
    ScopeJudgement,
    SymbolJudgement,
    SymbolUse,
    TaskAnalysis,
)
from models.errors import PlanError
from models.judging import AnswerForm

SymbolKey = tuple[str, str]
"""Path and name of a symbol."""
C = TypeVar("C", Relevance, SymbolUse)


def parse_task_analysis(text: str) -> TaskAnalysis:
    """The analysis of a task; raises PlanError for bad JSON or a wrong shape."""
    return read_answer(TaskAnalysis, text, "summary")


def parse_scope(text: str, candidates: Sequence[Candidate], form: AnswerForm = AnswerForm.PATHS) -> list[FileJudgement]:
    """The judgements of candidates, in the candidates' order, without those that the answer omits.

    `form` is the one asked for; the messages of errors follow it. Raises PlanError for a wrong shape, an unknown class,
    and a file or number that was not shown.
    """
    judged = read_scope(text, [candidate.path for candidate in candidates], form)
    return [FileJudgement(path=path, relevance=relevance) for path, relevance in judged.items()]


def parse_precision(
    text: str, outlines: Sequence[FileOutline], form: AnswerForm = AnswerForm.PATHS
) -> list[SymbolJudgement]:
    """The judgements of symbols, in the outlines' order, without those that the answer omits.

    Raises PlanError as `parse_scope` does.
    """
    judged = read_precision(text, symbols_in(outlines), form)
    return [SymbolJudgement(path=path, symbol=symbol, use=use) for (path, symbol), use in judged.items()]


def symbols_in(outlines: Iterable[FileOutline]) -> list[SymbolKey]:
    """The symbols that outlines show, in their order: the n-th bears the number n."""
    return [(outline.path, symbol.name) for outline in outlines for symbol in outline.symbols]


def read_scope(text: str, paths: Sequence[str], form: AnswerForm = AnswerForm.PATHS) -> dict[str, Relevance]:
    """The class of each of `paths` that an answer judges. Raises PlanError as `parse_scope` does."""
    answer = read_object(text, ScopeJudgement.__name__)
    if _is_numbered(answer, "files", form):
        return dict(_by_number(answer, Relevance, paths))
    judged = as_answer(ScopeJudgement, answer, "files").files
    _known(judged, paths, "file")
    return {path: judged[path] for path in paths if path in judged}


def read_precision(
    text: str, symbols: Sequence[SymbolKey], form: AnswerForm = AnswerForm.PATHS
) -> dict[SymbolKey, SymbolUse]:
    """The use of each of `symbols` that an answer judges. Raises PlanError as `parse_scope` does."""
    answer = read_object(text, PrecisionJudgement.__name__)
    if _is_numbered(answer, "symbols", form):
        return dict(_by_number(answer, SymbolUse, symbols))
    judged = as_answer(PrecisionJudgement, answer, "symbols").symbols
    named = [f"{path} :: {symbol}" for path, names in judged.items() for symbol in names]
    _known(named, [f"{path} :: {symbol}" for path, symbol in symbols], "symbol")
    return {(path, name): judged[path][name] for path, name in symbols if name in judged.get(path, ())}


def form_of(text: str) -> AnswerForm:
    """The form in which an answer of scope or precision judges. Raises PlanError if it is not one JSON object."""
    answer = read_object(text, "judgements")
    return AnswerForm.LETTERS if any(_is_number(key) for key in answer) else AnswerForm.PATHS


def scope_classes(text: str) -> list[Relevance]:
    """The classes in an answer of scope, whatever they are given to. Raises PlanError for a wrong shape."""
    answer = read_object(text, ScopeJudgement.__name__)
    if _is_numbered(answer, "files"):
        return [_class(number, value, Relevance) for number, value in answer.items()]
    return list(as_answer(ScopeJudgement, answer, "files").files.values())


def precision_classes(text: str) -> list[SymbolUse]:
    """The classes in an answer of precision, whatever they are given to. Raises PlanError for a wrong shape."""
    answer = read_object(text, PrecisionJudgement.__name__)
    if _is_numbered(answer, "symbols"):
        return [_class(number, value, SymbolUse) for number, value in answer.items()]
    return [use for uses in as_answer(PrecisionJudgement, answer, "symbols").symbols.values() for use in uses.values()]


def write_scope(judged: Mapping[str, Relevance], form: AnswerForm) -> str:
    """The answer that `read_scope` reads as these judgements of all that was shown, in its order."""
    if form is AnswerForm.LETTERS:
        return _numbered(judged.values())
    return json.dumps({"files": {path: relevance.value for path, relevance in judged.items()}}, ensure_ascii=False)


def write_precision(judged: Mapping[str, Mapping[str, SymbolUse]], form: AnswerForm) -> str:
    """The answer that `read_precision` reads as these judgements, by path and symbol, of all that was shown."""
    if form is AnswerForm.LETTERS:
        return _numbered(use for uses in judged.values() for use in uses.values())
    symbols = {path: {name: use.value for name, use in uses.items()} for path, uses in judged.items()}
    return json.dumps({"symbols": symbols}, ensure_ascii=False)


def _numbered(classes: Iterable[Relevance | SymbolUse]) -> str:
    return json.dumps({str(number): each.letter for number, each in enumerate(classes, start=1)})


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdigit()


def _is_numbered(answer: Mapping[str, Any], field: str, asked: AnswerForm = AnswerForm.PATHS) -> bool:
    """Whether an answer judges by number; one that is empty or of neither form is read as it was asked for."""
    return field not in answer and (asked is AnswerForm.LETTERS or any(map(_is_number, answer)))


def _by_number(answer: Mapping[str, Any], kind: type[C], shown: Sequence[Any]) -> Iterable[tuple[Any, C]]:
    """Each of `shown` that an answer judges with its class, in their order."""
    numbers = [str(number) for number in range(1, len(shown) + 1)]
    if not answer:
        raise PlanError(f"the answer judges nothing; give each number from 1 to {len(shown)} its letter")
    strangers = [key for key in answer if key not in numbers]
    if strangers:
        raise PlanError(f"{strangers[0][:80]!r} is no number that was shown; judge 1 to {len(shown)}")
    pairs = zip(numbers, shown, strict=True)
    return [(each, _class(number, answer[number], kind)) for number, each in pairs if number in answer]


def _class(number: str, value: object, kind: type[C]) -> C:
    """A class by its letter, in either case, or by its whole word."""
    for each in kind:
        if isinstance(value, str) and value.strip().lower() in (each.letter.lower(), each.value):
            return each
    letters = ", ".join(each.letter for each in kind)
    raise PlanError(f"{str(value)[:80]!r} of number {number[:20]} is no class; write one of {letters}")


def _known(named: Iterable[str], shown: Iterable[str], what: str) -> None:
    strangers = sorted(set(named) - set(shown))
    if strangers:
        raise PlanError(f"{what} {strangers[0]!r} was not among those shown ({len(strangers)} such); judge those shown")
