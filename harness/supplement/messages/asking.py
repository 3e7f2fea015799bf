"""Models asked for descriptions and scores: each answer is kept before it is used, and never paid for again."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.mining.regenerated import add_record, read_records
from harness.supplement.teacher import reply_of
from models.chat import Message, prompt_text
from models.errors import PlanError, PromptTooLong, ProviderError
from models.plans import Frozen
from models.protocols import Stage
from models.supplements import TeacherReply
from store.keys import digest
from store.texts import sha256

if TYPE_CHECKING:
    from llm import Router

STAGE = Stage.TASK_ANALYSIS
"""The stage under which a router is asked; of an endpoint's router, all stages are the same."""
FRAME = 8
_ATTEMPTS = 2
"""An answer that cannot be read is asked for again once, with the parser's message."""
_SMALLER, _TRIES = 0.7, 8
T = TypeVar("T")


class KeptAnswer(Frozen):
    """A line of the file of answers. `key` is that of the question."""

    key: str
    reply: TeacherReply


class Unreadable(Exception):
    """No answer could be read; the message is the last fault."""


@dataclass
class Asked:
    """The questions about one commit: the hashes of their prompts, the model that answered, and what answers cost."""

    prompt_hashes: list[str] = field(default_factory=list)
    model: str = ""
    cost: float = 0.0


@dataclass(frozen=True)
class Answers:
    """The answers that are kept for a repository."""

    path: Path

    @cached_property
    def _known(self) -> dict[str, TeacherReply]:
        return {each.key: each.reply for each in read_records(self.path, KeptAnswer)}

    def get(self, key: str) -> TeacherReply | None:
        """The answer to a question."""
        return self._known.get(key)

    def keep(self, key: str, reply: TeacherReply) -> None:
        """Keep an answer. Raises InfrastructureError."""
        add_record(self.path, KeptAnswer(key=key, reply=reply))
        self._known[key] = reply


@dataclass(frozen=True)
class Endpoint:
    """A model behind a router, asked at temperature 0."""

    router: "Router"
    name: str
    answer_tokens: int

    @cached_property
    def identity(self) -> str:
        """A hash that changes whenever the answers may. Raises ProviderError if its window must be asked for."""
        return self.router.identity

    @cached_property
    def max_prompt_tokens(self) -> int:
        """Most tokens of a prompt."""
        return self.router.max_prompt_tokens(STAGE, self.answer_tokens)

    def ask(self, messages: tuple[Message, ...], schema: dict[str, Any]) -> TeacherReply:
        """One answer. Raises ProviderError (also for an empty one), CapReached and PromptTooLong."""
        from llm import ChatRequest

        most = self.router.max_output_tokens(STAGE, self.answer_tokens)
        request = ChatRequest(messages=messages, max_tokens=most, temperature=0.0, seed=0, schema_=schema)
        completions = self.router.complete(STAGE, request)
        if not completions or not completions[0].text.strip():
            raise ProviderError(f"endpoint {self.name!r} gave an empty answer; check it with `cra models check`")
        reply = reply_of(completions[0])
        return reply.model_copy(update={"text": _encodable(reply.text), "model": _encodable(reply.model)})


def _encodable(text: str) -> str:
    """A text with half surrogate pairs as escapes, so that it can be stored; as JSON it means the same."""
    return text.encode(errors="backslashreplace").decode()


def ask(
    endpoint: Endpoint,
    answers: Answers,
    prompt: Callable[[str, float], tuple[Message, ...]],
    schema: dict[str, Any],
    read: Callable[[str], T],
    asked: Asked,
) -> T:
    """The parsed answer to a question. `prompt` gives its messages from the fault of the answer before and the share
    of its budgets that it may use. Raises Unreadable, ProviderError, CapReached, PromptTooLong."""
    wrong = ""
    for _ in range(_ATTEMPTS):
        messages = fitted(endpoint, lambda share, wrong=wrong: prompt(wrong, share))  # type: ignore[misc]
        text = prompt_text(messages)
        key = digest("regenerate-message", endpoint.identity, text, json.dumps(schema), endpoint.answer_tokens)
        reply = answers.get(key)
        if reply is None:
            reply = endpoint.ask(messages, schema)
            answers.keep(key, reply)
        asked.prompt_hashes.append(sha256(text))
        asked.model, asked.cost = reply.model, asked.cost + reply.cost
        try:
            return read(reply.text)
        except PlanError as error:
            wrong = str(error)
    raise Unreadable(wrong)


def fitted(endpoint: Endpoint, prompt: Callable[[float], tuple[Message, ...]]) -> tuple[Message, ...]:
    """A prompt with the largest share of its budgets, 1 or some powers of 0.7, that the model accepts.

    Raises PromptTooLong.
    """
    share, size = 1.0, 0
    for _ in range(_TRIES):
        messages = prompt(share)
        size = sum(endpoint.router.count(STAGE, message.content) + FRAME for message in messages)
        if size <= endpoint.max_prompt_tokens:
            return messages
        share *= _SMALLER
    raise PromptTooLong(
        f"endpoint {endpoint.name!r} takes prompts of {endpoint.max_prompt_tokens} tokens, and the shortest about this "
        f"commit has {size}; name one with a larger window"
    )
