"""A teacher that scores answers."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from pydantic import ConfigDict, Field, ValidationError

from agent.prompts.render import fenced
from models.chat import Message
from models.errors import MalformedAnswer
from models.plans import Frozen
from models.protocols import Stage
from store.learning.answer_scores import Opinion

if TYPE_CHECKING:
    from llm import Router

DUTIES: dict[Stage, str] = {
    Stage.TASK_ANALYSIS: "reads a task and names the files and symbols of the repository that it is about.",
    Stage.SCOPE: "judges which of the files it is shown are relevant to a task, supporting, or irrelevant.",
    Stage.PRECISION: "judges which symbols of files must be changed for a task, read for it, or can be left out.",
    Stage.META_PLAN: "divides a task into parts that can be done one after the other.",
    Stage.PART_PLAN: "plans one part of a task as steps, each with the places in the code that it changes.",
    Stage.TEST_PLAN: "plans the tests that show that one part of a task is done.",
    Stage.CODE: "writes the edits of one step of a plan.",
    Stage.ADJUSTMENT: "decides whether a plan still holds after a step was done.",
}
MOST = 10
_ANSWER_TOKENS = 512
_ATTEMPTS = 2
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)


class TeacherScore(Frozen):
    """What a teacher has to answer."""

    model_config = ConfigDict(title="Verdict")  # part of the schema that teachers are sent

    reason: str
    score: int = Field(ge=0, le=MOST)


class Scorer:
    """A team's teacher, asked at temperature 0. Safe to use from several threads."""

    def __init__(self, router: "Router") -> None:
        self._router = router

    @property
    def identity(self) -> str:
        """What its scores depend on: the models and the prompt template."""
        return f"{self._router.identity} {_template().render(duty='', messages=[], answer='')}"

    def score(self, stage: Stage, messages: Sequence[Message], answer: str) -> Opinion:
        """Its score of an answer to a prompt of a stage.

        Raises MalformedAnswer if two replies cannot be parsed, PromptTooLong, CapReached, ProviderError.
        """
        from llm import ChatRequest

        system, user = _template().render(duty=DUTIES[stage], messages=messages, answer=answer).split("\n=====\n", 1)
        asked = [Message(role="system", content=system), Message(role="user", content=user)]
        prompt = completion = 0
        cost, failure = 0.0, ""
        for attempt in range(_ATTEMPTS):
            request = ChatRequest(
                messages=tuple(asked), max_tokens=_ANSWER_TOKENS, temperature=0.0, seed=attempt, schema_=_schema()
            )
            [reply] = self._router.complete(stage, request)
            prompt, completion = prompt + reply.prompt_tokens, completion + reply.completion_tokens
            cost += reply.cost
            try:
                verdict = read_opinion(reply.text)
            except MalformedAnswer as error:
                failure = str(error)
                continue
            return Opinion(
                score=verdict.score / MOST,
                reason=verdict.reason,
                model=reply.adapter or reply.model,
                prompt_tokens=prompt,
                completion_tokens=completion,
                cost=cost,
            )
        raise MalformedAnswer(f"the teacher's score cannot be parsed: {failure}")


def read_opinion(text: str) -> TeacherScore:
    """The verdict in an answer. Raises MalformedAnswer."""
    found = _OBJECT.search(text)
    try:
        return TeacherScore.model_validate(json.loads(found[0] if found else text))
    except (ValueError, ValidationError) as error:
        raise MalformedAnswer(f"no JSON object with a reason and a score from 0 to {MOST}: {text[:80]!r}") from error


def _schema() -> dict[str, Any]:
    return TeacherScore.model_json_schema() | {"additionalProperties": False}


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(  # noqa: S701  text for a model, not for a browser
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"fenced": fenced}
    return environment.get_template("score_answer.jinja")
