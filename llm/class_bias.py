"""The class bias of an adapter in a request: `logit_bias` on the tokens that begin its classes.

A server adds it to the logits before it chooses, so of the classes that a schema allows the likeliest with its offset
is chosen. It is sent only where these tokens mean a class wherever they occur, and to servers that are known to take
the field; others ignore it or fail.
"""

from collections.abc import Mapping
from typing import Any

from llm.server_facts import Dialect
from models.class_bias import ClassBias, asks_for_letters
from models.llm_settings import Endpoint

FIELD = "logit_bias"


def bias_fields(
    bias: ClassBias | None, settings: Endpoint, dialect: Dialect | None, schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The fields of a request that apply a bias to its answer; none where it does not apply."""
    if bias is None or not bias.active or not asks_for_letters(schema) or unapplied(settings, dialect):
        return {}
    return {FIELD: {str(token): value for token, value in sorted(bias.by_token.items())}}


def unapplied(settings: Endpoint, dialect: Dialect | None) -> str:
    """Why an endpoint's answers have no class bias; empty: they have one where classes are answered as letters."""
    if dialect is None:
        return "its server is neither vLLM nor llama.cpp, so it may not take logit_bias"
    if settings.thinking:
        return "thinking is on, and the classes' tokens are words in a thinking trace"
    if settings.json_schema is False:
        return "its answers are not held to a JSON schema, so the classes' tokens may occur anywhere"
    if FIELD in settings.extra_body:
        return "its extra_body sets logit_bias itself"
    return ""
