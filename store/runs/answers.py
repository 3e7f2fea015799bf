"""Answers of planners, kept for all processes: each question is asked once, unless its answer was declared void."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, select

from models.protocols import Answer, Stage
from store.keys import digest
from store.tables import AnswerRow, VoidedAnswer, table_of
from store.texts import Texts, read_texts

_ANSWERS, _VOIDED = table_of(AnswerRow), table_of(VoidedAnswer)


@dataclass(frozen=True)
class AnswerSlot:
    """The place of a question's current answer, None while it has none.

    `question` is the identity of all that the answer depends on; `generation` counts its void answers.
    """

    question: str
    generation: int
    answer: Answer | None

    @property
    def id(self) -> str:
        """The id of the answer's row: the question's own, and another one after each void answer."""
        return self.question if self.generation == 0 else digest("answer", self.question, self.generation)

    @property
    def lease(self) -> str:
        """The name of the lease of the process that asks."""
        return f"answer {self.id}"


def read_slot(connection: Connection, question: str) -> AnswerSlot:
    """The place of a question's current answer."""
    query = (
        select(_ANSWERS.c.generation, _ANSWERS.c.text_hash)
        .where(_ANSWERS.c.question == question, _ANSWERS.c.id.not_in(select(_VOIDED.c.id)))
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        voided = select(_ANSWERS.c.id).join(_VOIDED, _VOIDED.c.id == _ANSWERS.c.id)
        return AnswerSlot(question, len(connection.execute(voided.where(_ANSWERS.c.question == question)).all()), None)
    text = read_texts(connection, [row.text_hash])[row.text_hash]
    return AnswerSlot(question, row.generation, Answer.model_validate_json(text))


AUDIT: Literal["audit"] = "audit"
"""The place of a stage in the rows of answers to audits, which belong to none."""


def answer_row(slot: AnswerSlot, stage: Stage | Literal["audit"], answer: Answer, texts: Texts) -> AnswerRow:
    """The row of an answer; its text is added to `texts`."""
    return AnswerRow(
        id=slot.id,
        question=slot.question,
        generation=slot.generation,
        stage=str(stage),
        endpoint=answer.endpoint,
        model=answer.model,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        cost=answer.cost,
        text_hash=texts.add(answer.model_dump_json()),
    )
