"""Health check of endpoints: one short question to each, at the price of a few tokens."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from pydantic import Field

from llm.background import wait_for
from llm.chat import ChatRequest, Completion
from llm.meter import Meter
from llm.router import Router
from llm.service import Service, open_service
from models.chat import Message
from models.errors import CleanRoomError, ProviderError, SettingsError
from models.llm_settings import CLASSIFIED_STAGES, EMBEDDED, RELEVANCE, ModelSettings
from models.plans import Frozen
from models.protocols import Stage
from store.active_adapters import Aliases

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"works": {"type": "boolean"}},
    "required": ["works"],
    "additionalProperties": False,
}
_QUESTION = 'Answer with this JSON object and nothing else: {"works": true}'
_ANSWER_TOKENS = 128
_TRIES, _WAIT = 2, 5.0
_KEY_REFUSED = (401, 403)

JsonSchema = Literal["works", "ignored", "refused", "off", "cut off", "not tried"]


class EndpointReport(Frozen):
    """Findings about an endpoint. `fault` says why it cannot be used as configured; empty if it can.

    It is `reachable` if it answered at all, be it with an error.
    """

    endpoint: str
    url: str
    uses: tuple[str, ...] = Field(description="settings that name it, such as roles.coding; empty: none")
    reachable: bool = False
    model: str
    listed: bool | None = Field(None, description="whether the server lists the model; None if it has no list")
    window: int | None = None
    window_from: Literal["settings", "server"] | None = None
    adapters: tuple[str, ...] = Field((), description="adapters that the server lists")
    stages: dict[str, str] = Field(
        default_factory=dict,
        description="stage = adapter that answers it here, overridden or promoted, or relevance: the classifier",
    )
    json_schema: JsonSchema = "not tried"
    tokenizer: str | None = Field(None, description="how tokens are counted")
    exact: bool | None = Field(None, description="whether that is exact")
    key_variable: str | None = None
    key_refused: bool = False
    fault: str = ""

    @property
    def usable(self) -> bool:
        """Whether it answers as configured."""
        return not self.fault


def check(models: ModelSettings, aliases: Aliases | None = None) -> list[EndpointReport]:
    """A report on each endpoint that is configured or used, by name. Faults are in the reports; nothing is raised.

    `aliases` are the promoted adapters.
    """
    uses = _uses(models)
    names = sorted({*models.endpoints, *uses})
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        return list(pool.map(lambda name: _report(models, name, uses.get(name, []), aliases), names))


def check_router(router: Router) -> None:
    """Ask the servers of a router's models what they serve, which costs nothing.

    Raises ProviderError for one that does not answer or refuses the key, and SettingsError for a window that is not
    known or larger than the server's, and for an adapter that is not served. Whether a server takes JSON schemas is not
    asked: that would be paid for. The model inside the process is left alone.
    """
    routers = [router, *([router.second] if router.second else [])]
    routes = [route for each in routers for route in (*each.routes.values(), each.generalist) if route is not None]
    services = {id(route.service): route.service for route in routes if route.service.settings.url != EMBEDDED}
    adapters = {key: {r.adapter for r in routes if r.adapter and id(r.service) == key} for key in services}
    with ThreadPoolExecutor(max_workers=max(1, len(services))) as pool:
        list(pool.map(lambda key: _check_served(services[key], adapters[key]), services))


def _uses(models: ModelSettings) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group in ("roles", "teachers"):
        for use, name in getattr(models, group):
            if name is not None:
                found.setdefault(name, []).append(f"{group}.{use}")
    return found


def _report(models: ModelSettings, name: str, uses: Sequence[str], aliases: Aliases | None) -> EndpointReport:
    set_ = models.endpoint(name)
    hasty = set_.model_copy(update={"attempts": min(_TRIES, set_.attempts), "max_wait": min(_WAIT, set_.max_wait)})
    found: dict[str, Any] = {
        "endpoint": name, "url": set_.url, "uses": tuple(uses), "model": set_.model, "key_variable": set_.api_key_env
    }  # fmt: skip
    try:
        found["stages"] = _stages(models, name, aliases)
        _examine(open_service(name, hasty), found)
    except ProviderError as error:
        found["reachable"] = found.get("reachable", False) or error.status is not None
        found["key_refused"] = error.status in _KEY_REFUSED
        found["fault"] = str(error)
    except CleanRoomError as error:
        found["fault"] = str(error)
    return EndpointReport(**found)


def _stages(models: ModelSettings, name: str, aliases: Aliases | None) -> dict[str, str]:
    """Stages of the student that an adapter, or the relevance classifier, answers in place of this endpoint's model."""
    roles, endpoint = models.roles, models.endpoint(name)
    chosen: dict[str, str] = {}
    for stage in Stage:
        if (roles.coding if stage is Stage.CODE else roles.reasoning) == name:
            promoted = aliases.resolver(stage, endpoint.base)() if aliases is not None else None
            own = RELEVANCE if endpoint.url == EMBEDDED and stage in CLASSIFIED_STAGES else None
            if answers := models.overrides.get(stage, promoted or own):
                chosen[stage.value] = answers
    return chosen


def _examine(service: Service, found: dict[str, Any]) -> None:
    """Add findings to `found`, in order; the first fault ends it."""
    settings = service.settings
    facts = service.facts()
    found["reachable"] = True
    found["listed"] = settings.model in facts.models if facts.models else None
    found["adapters"] = tuple(sorted(facts.adapters))
    counter = service.counter
    found["tokenizer"], found["exact"] = counter.how, counter.exact
    found["window"] = service.window
    found["window_from"] = "server" if settings.window is None else "settings"
    _check_served(service, set(found["stages"].values()) - {RELEVANCE})
    found["json_schema"] = _ask(service)


def _check_served(service: Service, adapters: set[str]) -> None:
    """Raises SettingsError if the server's window is smaller than the settings', or an adapter is not served."""
    served = service.facts().window
    if served is not None and service.window > served:
        raise SettingsError(
            f"models.endpoints.{service.name}.window is {service.window}, the server has {served}; lower it"
        )
    for adapter in sorted(adapters):
        service.adapter_fields(adapter)


def _ask(service: Service) -> JsonSchema:
    """Ask one question, by JSON schema unless that is switched off. Raises as `Service.client.complete` does."""
    from llm.structured_output import Ask

    wanted = service.settings.json_schema is not False
    request = ChatRequest(
        messages=(Message(role="user", content=_QUESTION),),
        max_tokens=_ANSWER_TOKENS,
        seed=0,
        schema_=_SCHEMA if wanted else None,
    )
    client = service.client
    [completion] = wait_for(client.complete(Ask(service.settings.model, request, len(_QUESTION), Meter().add)))
    if not wanted:
        return "off"
    return "refused" if client.refuses(_SCHEMA) else _followed(completion)


def _followed(completion: Completion) -> JsonSchema:
    try:
        value = json.loads(completion.text)
    except ValueError:
        return "cut off" if completion.finish_reason == "length" else "ignored"
    return "works" if isinstance(value, dict) and isinstance(value.get("works"), bool) else "ignored"


def key_state(variable: str | None) -> str:
    """The variable of a key and whether it is set: `NAME`, `NAME (not set)`, or `none`."""
    if variable is None:
        return "none"
    return variable if os.environ.get(variable) else f"{variable} (not set)"
