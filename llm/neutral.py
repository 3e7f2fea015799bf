"""Control tokens in what a model is sent and says: marked in requests, and restored in answers."""

from typing import Any

from llm.chat import ChatRequest, Completion
from models.control import ControlTokens, marked


def neutral(request: ChatRequest, control: ControlTokens) -> ChatRequest:
    """The request with control tokens marked, both in its texts and in the strings that its schema allows, so that the
    two agree."""
    schema = None if request.schema_ is None else _neutral_value(request.schema_, control)
    return request.model_copy(update={"messages": marked(request.messages, control), "schema_": schema})


def _neutral_value(value: Any, control: ControlTokens) -> Any:
    if isinstance(value, str):
        return control.neutralise(value)
    if isinstance(value, dict):
        return {name: _neutral_value(each, control) for name, each in value.items()}
    return [_neutral_value(each, control) for each in value] if isinstance(value, list) else value


def restored(answer: Completion, request: ChatRequest, control: ControlTokens) -> Completion:
    """The answer with its marks removed as the request has them, and the prompt as sent."""
    return answer.model_copy(
        update={
            "text": control.restore(answer.text),
            "reasoning": control.restore(answer.reasoning),
            "sent": request.messages,
        }
    )
