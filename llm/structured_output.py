"""The wire form of a request: its fields, and which of them this server knows."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from llm.chat import ChatRequest
from llm.faults import Rejected
from llm.meter import Spent
from models.chat import alternating
from models.llm_settings import Endpoint


@dataclass(frozen=True)
class Ask:
    """A request in flight: the model that answers it, and the counted length of its prompt.

    `extra` are fields of the request that this model needs, `spend` is called with the usage of every attempt.
    """

    model: str
    request: ChatRequest
    prompt_tokens: int
    spend: Callable[[Spent], None]
    adapter: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """The optional fields of a request, which a server may not know.

    schema: by JSON schema; together: all samples in one call; usage: with the usage at the end of the stream;
    max_tokens: the limit under its old name, not as `max_completion_tokens`; roles: the messages with their own roles,
    not merged for a chat template that takes no system role or wants user and assistant in turns.
    """

    schema: bool
    together: bool
    usage: bool = True
    max_tokens: bool = True
    roles: bool = True

    def plainer(self, rejected: Rejected) -> "Form | None":
        """The form without the field most likely refused; None if there is nothing to leave out."""
        about = f"{rejected.param} {rejected.message}".lower()
        named = [part for part, words in _NAMED.items() if any(word in about for word in words)]
        suspects = [part for part in (*named, "together", "schema") if getattr(self, part)]
        return replace(self, **{suspects[0]: False}) if suspects else None


_NAMED = {
    "roles": (
        *("system role", "system message", "role system", "role: system", "role 'system'", 'role "system"'),
        *("must alternate", "roles must", "only user and assistant", "only user, assistant", "role not supported"),
        *("must start with user", "should start with user", "unexpected role", "unknown role", "invalid role"),
    ),
    "schema": ("response_format", "schema", "grammar", "guided", "structured"),
    "usage": ("stream_options", "include_usage"),
    "max_tokens": ("max_completion_tokens",),
}


def request_fields(settings: Endpoint, ask: Ask, form: Form, n: int, seed: int | None) -> dict[str, Any]:
    """The arguments of the client library's call."""
    request = ask.request
    messages = request.messages if form.roles else alternating(request.messages)
    asked: dict[str, Any] = {
        "model": ask.model,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "max_tokens" if form.max_tokens else "max_completion_tokens": request.max_tokens + settings.trace_tokens,
        "temperature": request.temperature,
        "stream": True,
    }
    if form.usage:
        asked["stream_options"] = {"include_usage": True}
    if n > 1:
        asked["n"] = n
    if seed is not None:
        asked["seed"] = seed
    if form.schema:
        schema = {"name": "answer", "strict": True, "schema": request.schema_}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}
    extra = dict(settings.extra_body) | ask.extra
    if settings.thinking is not None:
        extra.setdefault("chat_template_kwargs", {"enable_thinking": settings.thinking})
    return asked | ({"extra_body": extra} if extra else {})
