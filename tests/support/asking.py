"""Routers on scripted servers, and requests to them."""

from typing import Any

from llm import ChatRequest, Message, Meter, Router, open_router
from models.llm_settings import Endpoint, ModelSettings, Roles
from models.protocols import Stage
from tests.support.bad_server import ScriptedServer


def endpoint(server: ScriptedServer | str, **settings: Any) -> Endpoint:
    """An endpoint that gives up soon."""
    url = server if isinstance(server, str) else server.url
    return Endpoint(**({"url": url, "model": "scripted", "attempts": 3, "max_wait": 0.2} | settings))


def router(server: ScriptedServer | str, meter: Meter | None = None, **settings: Any) -> Router:
    """A student whose every stage is answered by that server."""
    only = endpoint(server, **settings)
    models = ModelSettings(endpoints={"here": only}, roles=Roles(reasoning="here", coding="here"))
    return open_router(models, "student", meter)


def request(text: str = "say something", **fields: Any) -> ChatRequest:
    """A short question."""
    return ChatRequest(**({"messages": (Message(role="user", content=text),), "max_tokens": 50} | fields))


def answer(router: Router, text: str = "say something", **fields: Any) -> str:
    """The text of one answer."""
    [said] = router.complete(Stage.CODE, request(text, **fields))
    return said.text
