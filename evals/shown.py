"""The files that a frozen question of scope shows: by gold's answer, or by the prompt where answers have numbers."""

import re

from agent.retrieve.judgements import form_of, scope_classes
from models.context import ScopeJudgement
from models.errors import EvaluationError, PlanError
from models.evaluation import EvaluationItem
from models.judging import AnswerForm
from models.protocols import Stage

_CANDIDATES = re.compile(r"^# Candidate files.*$", re.MULTILINE)
_NUMBERED = re.compile(r"^## (\d+)\. (.+)$", re.MULTILINE)


def shown_files(item: EvaluationItem) -> list[str]:
    """The paths of the candidates that an item of scope shows, in order.

    Raises EvaluationError for another stage, a gold answer that cannot be read, and a prompt whose candidates are not
    those that gold judged.
    """
    if item.stage is not Stage.SCOPE:
        raise EvaluationError(f"item {item.id[:12]} is of {item.stage.value}, which shows no files to be judged")
    try:
        form, judged = form_of(item.expected), len(scope_classes(item.expected))
    except PlanError as error:
        raise EvaluationError(f"item {item.id[:12]}: gold's answer cannot be read; build the set again") from error
    if form is AnswerForm.PATHS:
        return list(ScopeJudgement.model_validate_json(item.expected).files)
    text = item.messages[-1].content if item.messages else ""
    found = list(_CANDIDATES.finditer(text))  # the task may hold such a line as well, before the template's own
    numbered = _NUMBERED.findall(text[found[-1].end() :]) if found else []
    if [int(number) for number, _ in numbered] != list(range(1, judged + 1)):
        raise EvaluationError(
            f"item {item.id[:12]} shows {len(numbered)} numbered files and gold judged {judged}; build the set again"
        )
    return [path for _, path in numbered]
