"""The frozen questions of a pack: prompts only. What gold answers stays here, and so do names of repositories and
commits; a question's id is the hash of its prompt, because an item's id is of its answer as well."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from evals.metrics import item_scores, schema_of
from evals.scoring import Question
from exchange.outsource.layout import first_fault
from models.chat import Message
from models.class_bias import asks_for_letters
from models.errors import EvaluationError, UsageError
from models.evaluation import EvaluationItem, EvaluationSet
from models.plans import Frozen
from models.tokens import ANSWER_TOKENS
from models.training import TrainingTarget

if TYPE_CHECKING:
    from training.cycle.local_answers import LocalAnswerer

ASKED = (TrainingTarget.TASK_ANALYSIS, TrainingTarget.SCOPE, TrainingTarget.PRECISION)
"""The targets whose frozen sets are questions. Code and planning are judged by whole runs, here."""
_LETTERS: dict[str, Any] = {"properties": {"1": {}}}
"""Stands for the schema of an answer in letters, which would name the candidates that gold judges."""


class SentQuestion(Frozen):
    """A question as it is sent: the prompt, the stage's limit of the answer, and whether it is answered in letters."""

    id: str
    messages: tuple[Message, ...]
    tokens: int
    letters: bool


class GivenAnswer(Frozen):
    """An answer that was given elsewhere."""

    id: str
    text: str = Field(max_length=1_000_000)


def question_id(item: EvaluationItem) -> str:
    """The id of an item's question: SHA-256 of its prompt."""
    said = [[message.role, message.content] for message in item.messages]
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


def questions_of(evaluation_set: EvaluationSet | None) -> list[SentQuestion]:
    """The questions of a set, sorted by id; none for a target that whole runs judge."""
    if evaluation_set is None or evaluation_set.target not in ASKED:
        return []
    found = [_question(item) for item in evaluation_set.items]
    return sorted(found, key=lambda each: each.id)


def _question(item: EvaluationItem) -> SentQuestion:
    tokens = ANSWER_TOKENS[item.stage]
    letters = asks_for_letters(schema_of(item, tokens))
    return SentQuestion(id=question_id(item), messages=item.messages, tokens=tokens, letters=letters)


def ask(answerer: "LocalAnswerer", questions: Sequence[SentQuestion]) -> list[GivenAnswer]:
    """Greedy answers, in batches of prompts of similar length; returned in the order of the ids."""
    ordered = sorted(questions, key=lambda each: (sum(len(m.content) for m in each.messages), each.id))
    given: list[GivenAnswer] = []
    for start in range(0, len(ordered), answerer.batch):
        batch = ordered[start : start + answerer.batch]
        asked = [
            Question(each.messages, answerer.limit(each.tokens), _LETTERS if each.letters else None) for each in batch
        ]
        texts = answerer.answer_many(asked, 0, 0.0)
        given += [
            GivenAnswer(id=each.id, text=text.encode("utf-8", "replace").decode())
            for each, text in zip(batch, texts, strict=True)
        ]
    return sorted(given, key=lambda each: each.id)


def scores_of(evaluation_set: EvaluationSet, answers: Sequence[GivenAnswer]) -> dict[str, dict[str, float]]:
    """The scores of answers against gold's, by question. Raises EvaluationError for an answer to no question of it."""
    items = {question_id(item): item for item in evaluation_set.items}
    if strange := sorted({answer.id for answer in answers} - items.keys()):
        raise EvaluationError(
            f"question {strange[0][:12]} is not in set {evaluation_set.id[:12]}; let run.py evaluate again"
        )
    return {answer.id: item_scores(items[answer.id], answer.text) for answer in answers}


def write_lines(file: Path, rows: Sequence[Frozen]) -> None:
    """Write rows as JSON lines."""
    file.write_text("".join(row.model_dump_json() + "\n" for row in rows), encoding="utf-8")


def read_questions(file: Path) -> list[SentQuestion]:
    """The questions in a file of a pack."""
    return [SentQuestion.model_validate_json(line) for line in file.read_text(encoding="utf-8").splitlines()]


def read_answers(file: Path) -> list[GivenAnswer]:
    """The answers in a returned file. Raises UsageError if a line is none."""
    try:
        return [GivenAnswer.model_validate_json(line) for line in file.read_bytes().split(b"\n") if line]
    except ValidationError as error:
        raise UsageError(
            f"{file.name}: a line is no answer ({first_fault(error)}); let run.py evaluate again"
        ) from error
