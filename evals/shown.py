"""What a frozen question of scope or precision shows: by gold's answer, or by the prompt where answers have numbers."""

import re
from collections.abc import Callable, Sequence

from agent.retrieve.judgements import form_of, precision_classes, scope_classes
from models.context import PrecisionJudgement, ScopeJudgement
from models.errors import EvaluationError, PlanError
from models.evaluation import EvaluationItem
from models.judging import AnswerForm
from models.protocols import Stage

_CANDIDATES = re.compile(r"^# Candidate files.*$", re.MULTILINE)
_NUMBERED = re.compile(r"^## (\d+)\. (.+)$", re.MULTILINE)
_SYMBOLS = re.compile(r"^# Symbols.*$", re.MULTILINE)
_OUTLINE = re.compile(r"## (.+) \((?:relevant|supporting|irrelevant); .*\)")
_SYMBOL = re.compile(r"(\d+)\. `(.+?)` \(")


def shown_files(item: EvaluationItem) -> list[str]:
    """The paths of the candidates that an item of scope shows, in order.

    Raises EvaluationError for another stage, a gold answer that cannot be read, and a prompt whose candidates are not
    those that gold judged.
    """
    if item.stage is not Stage.SCOPE:
        raise EvaluationError(f"item {item.id[:12]} is of {item.stage.value}, which shows no files to be judged")
    form, judged = _gold(item, scope_classes)
    if form is AnswerForm.PATHS:
        return list(ScopeJudgement.model_validate_json(item.expected).files)
    numbered = _NUMBERED.findall(_after(item, _CANDIDATES))
    _check_numbers(item, "files", [number for number, _ in numbered], judged)
    return [path for _, path in numbered]


def shown_symbols(item: EvaluationItem) -> list[tuple[str, str]]:
    """The path and name of each symbol that an item of precision shows, in order. Raises as `shown_files` does."""
    if item.stage is not Stage.PRECISION:
        raise EvaluationError(f"item {item.id[:12]} is of {item.stage.value}, which shows no symbols to be judged")
    form, judged = _gold(item, precision_classes)
    if form is AnswerForm.PATHS:
        symbols = PrecisionJudgement.model_validate_json(item.expected).symbols
        return [(path, name) for path, uses in symbols.items() for name in uses]
    path, numbers, found = "", [], []
    for line in _after(item, _SYMBOLS).splitlines():
        if outline := _OUTLINE.fullmatch(line):
            path = outline[1]
        elif symbol := _SYMBOL.match(line):
            numbers.append(symbol[1])
            found.append((path, symbol[2]))
    _check_numbers(item, "symbols", numbers, judged)
    return found


def _gold(item: EvaluationItem, classes: Callable[[str], Sequence[object]]) -> tuple[AnswerForm, int]:
    """The form of gold's answer, and how many things it judges."""
    try:
        return form_of(item.expected), len(classes(item.expected))
    except PlanError as error:
        raise EvaluationError(f"item {item.id[:12]}: gold's answer cannot be read; build the set again") from error


def _after(item: EvaluationItem, heading: re.Pattern[str]) -> str:
    """The prompt's text after the last such heading: the task, which comes before, may hold one as well."""
    text = item.messages[-1].content if item.messages else ""
    found = list(heading.finditer(text))
    return text[found[-1].end() :] if found else ""


def _check_numbers(item: EvaluationItem, what: str, numbers: Sequence[str], judged: int) -> None:
    if list(map(int, numbers)) != list(range(1, judged + 1)):
        raise EvaluationError(
            f"item {item.id[:12]} shows {len(numbers)} numbered {what} and gold judged {judged}; build the set again"
        )
