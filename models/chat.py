"""A conversation with a model, as data."""

import json
from collections.abc import Sequence
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from models.plans import Frozen


class Message(Frozen):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


def alternating(messages: Sequence[Message]) -> tuple[Message, ...]:
    """A conversation for a chat template that takes no system role, or wants user and assistant in turns.

    System messages become the head of the next user message, and neighbours of one role one message, separated by a
    blank line.
    """
    turns: list[Message] = []
    for message in messages:
        role: Literal["user", "assistant"] = "assistant" if message.role == "assistant" else "user"
        if turns and turns[-1].role == role:
            turns[-1] = Message(role=role, content=f"{turns[-1].content}\n\n{message.content}")
        else:
            turns.append(Message(role=role, content=message.content))
    return tuple(turns)


_MESSAGES: TypeAdapter[tuple[Message, ...]] = TypeAdapter(tuple[Message, ...])


def prompt_text(messages: Sequence[Message]) -> str:
    """Messages as the JSON text that is stored as the exact prompt."""
    return json.dumps([message.model_dump() for message in messages], ensure_ascii=False, indent=1)


def read_prompt(text: str) -> tuple[Message, ...]:
    """The messages of a stored prompt. Raises ValidationError if it is none."""
    return _MESSAGES.validate_json(text)


def messages_by_role(prompt: str | None) -> list[tuple[str, str]]:
    """Role and text of each message of a stored prompt; one that is none of ours is one text of the user's.

    None, of planners that need no model, has none.
    """
    if prompt is None:
        return []
    try:
        return [(message.role, message.content) for message in read_prompt(prompt)]
    except ValidationError:
        return [("user", prompt)]
