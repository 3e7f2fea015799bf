"""A request to a model and its completion."""

from pydantic import Field, JsonValue

from models.chat import Message
from models.plans import Frozen


class ChatRequest(Frozen):
    """A conversation to continue, `n` times.

    `max_tokens` is for the answer alone; an endpoint that thinks gets its thinking budget in addition. `schema_` is a
    JSON schema; it is omitted where the endpoint has no structured output, so answers must be parsed strictly anyway.
    """

    messages: tuple[Message, ...] = Field(min_length=1)
    max_tokens: int = Field(ge=1)
    temperature: float = Field(0.0, ge=0)
    seed: int | None = None
    schema_: dict[str, JsonValue] | None = None
    n: int = Field(1, ge=1)


class Completion(Frozen):
    """One answer.

    Of the `n` samples of a request the first carries the prompt's own figures; the others share its prefill, so all
    their prompt tokens count as cached and cost nothing.
    """

    text: str
    reasoning: str = Field("", description="thinking trace, never part of `text`")
    finish_reason: str = Field(description="`stop`, `length` when max_tokens ended it, or a provider's own value")
    model: str
    adapter: str | None = None
    endpoint: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = Field(0, description="thinking included")
    cost: float = 0.0
    latency: float = Field(0.0, description="seconds of the successful call, earlier attempts not counted")
    retries: int = Field(0, description="retries before the provider answered")
    seed: int | None = None
    fallback: str | None = Field(None, description="why the generalist answered; None: the stage's own model did")
    sent: tuple[Message, ...] = Field(
        (),
        description="the prompt as sent, with the control tokens in its texts marked; its turns as asked for, where a "
        "server's chat template wanted them merged",
    )
