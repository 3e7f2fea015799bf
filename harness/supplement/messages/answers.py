"""Answers of the models: what to look at, a description, scores."""

import unicodedata
from typing import Any

from pydantic import Field, field_validator

from agent.answers import as_answer, read_answer, read_object
from models.errors import PlanError
from models.messages import RubricScores
from models.plans import Frozen

MOST_LOOKS = 5
_LONGEST_SUBJECT, _LONGEST_BODY = 150, 2000
_TURNED = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of writing, and can show a text as another."""

_TEXT: dict[str, Any] = {"type": "string"}
_DESCRIPTION: dict[str, Any] = {
    "type": "object",
    "properties": {"subject": _TEXT, "body": _TEXT},
    "required": ["subject", "body"],
    "additionalProperties": False,
}
_SYMBOL = {
    "type": "object",
    "properties": {"path": _TEXT, "symbol": _TEXT},
    "required": ["path", "symbol"],
    "additionalProperties": False,
}
_LOOK = {
    "type": "object",
    "properties": {"look": {"type": "array", "items": _SYMBOL, "minItems": 1, "maxItems": MOST_LOOKS}},
    "required": ["look"],
    "additionalProperties": False,
}
_SCORE = {"type": "integer", "enum": [1, 2, 3, 4, 5]}
SCORES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": dict.fromkeys(RubricScores.model_fields, _SCORE),
    "required": list(RubricScores.model_fields),
    "additionalProperties": False,
}


def answer_schema(may_look: bool) -> dict[str, Any]:
    """The JSON schema of a writer's answer."""
    return {"anyOf": [_DESCRIPTION, _LOOK]} if may_look else _DESCRIPTION


class Sight(Frozen):
    """A symbol that a model asks to see."""

    path: str
    symbol: str


class Look(Frozen):
    """The symbols that a model asks to see."""

    look: tuple[Sight, ...] = Field(min_length=1, max_length=MOST_LOOKS)


class Description(Frozen):
    """A task in a model's words."""

    subject: str = Field(min_length=1, max_length=_LONGEST_SUBJECT)
    body: str = Field("", max_length=_LONGEST_BODY)

    @field_validator("subject", "body", mode="before")
    @classmethod
    def _stripped(cls, text: Any) -> Any:
        return text.replace("\r\n", "\n").strip() if isinstance(text, str) else text

    @field_validator("subject")
    @classmethod
    def _one_line(cls, text: str) -> str:
        if len(text.splitlines()) != 1:
            raise ValueError("give the subject on one line")
        return text

    @field_validator("subject", "body")
    @classmethod
    def _printable(cls, text: str) -> str:
        for char in text:
            if char != "\n" and (unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _TURNED):
                raise ValueError(f"leave out the control character U+{ord(char):04X}")
        return text

    @property
    def text(self) -> str:
        """Subject and body as a message."""
        return f"{self.subject}\n\n{self.body}" if self.body else self.subject


def read_description(answer: str, may_look: bool) -> Look | Description:
    """A writer's answer. Raises PlanError, whose message is shown to the model."""
    value = read_object(answer, "description")
    if "look" in value:
        if not may_look:
            raise PlanError("you may not look any more: answer with subject and body")
        if value.get("subject"):
            raise PlanError("answer either with look or with subject and body")
        return as_answer(Look, {"look": value["look"]}, "look")
    return as_answer(Description, value, "subject")


def read_scores(answer: str) -> RubricScores:
    """A judge's answer. Raises PlanError."""
    return read_answer(RubricScores, answer, "fidelity")
