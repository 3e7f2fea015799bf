"""An endpoint within this process: key, address, properties, token counter, client.

There is one service per endpoint and process, shared by all routers, so that rate limit, circuit breaker and caches
are shared as well. Properties are queried on first use.
"""

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from host.air_gap import refuse_address
from llm import embedded
from llm.background import wait_for
from llm.server_facts import Facts, ServerClient, ask_facts
from llm.tokens import TokenCounter, counter, own_control_tokens
from models.control import ControlTokens
from models.errors import SettingsError
from models.llm_settings import EMBEDDED, EMBEDDED_WINDOW, Endpoint

if TYPE_CHECKING:
    from llm.client import Client

_LOADING = 10.0
_EXPORT = "`cra export-adapter NAME --embedded` exports it for the embedded model"


class Service:
    """One endpoint. Thread-safe.

    Created without any traffic. Raises SettingsError if the key's variable is not set or the embedded model is missing,
    AirGapError for a server on another machine in air-gapped mode.
    """

    def __init__(self, name: str, settings: Endpoint) -> None:
        self.name = name
        self.settings = settings
        if settings.url != EMBEDDED:
            refuse_address(f"endpoint {name!r}", settings.url)
        self._key = _key(name, settings)
        self._lock = threading.RLock()
        self._wire: ServerClient | None = None
        self._facts: Facts | None = None
        self._counter: TokenCounter | None = None
        self._control: ControlTokens | None = None
        self._client: Client | None = None
        if settings.url == EMBEDDED:
            embedded.weights()

    @property
    def wire(self) -> ServerClient:
        """The client for small requests. Starts the embedded model."""
        with self._lock:
            if self._wire is None:
                url = self.settings.url
                if url == EMBEDDED:
                    running = embedded.start(self.settings.window or EMBEDDED_WINDOW)
                    url, self._key = running.url, running.key
                self._wire = ServerClient(self.name, url, self._key)
            return self._wire

    def facts(self, *, fresh: bool = False) -> Facts:
        """The properties that the server reports, cached unless `fresh`. Raises ProviderError if it is unreachable."""
        with self._lock:
            if self._facts is None or fresh:
                self._facts = ask_facts(self.wire, self.settings.model)
            return self._facts

    @property
    def window(self) -> int:
        """The model's window in tokens. Raises SettingsError if neither the settings nor the server give it."""
        window = self.settings.window or self.facts().window
        if window is None:
            raise SettingsError(
                f"endpoint {self.name!r} does not report its context window; set models.endpoints.{self.name}.window"
            )
        return window

    @property
    def counter(self) -> TokenCounter:
        """The token counter of its model."""
        with self._lock:
            if self._counter is None:
                self._counter = counter(self.name, self.settings, self.wire, self.facts)
            return self._counter

    @property
    def control(self) -> ControlTokens:
        """The strings that its server might read as control tokens in any text."""
        with self._lock:
            if self._control is None:
                self._control = own_control_tokens(self.name, self.settings)
            return self._control

    @property
    def client(self) -> "Client":
        """The client for answers."""
        with self._lock:
            if self._client is None:
                wire = self.wire
                self._client = wait_for(_client(self.name, self.settings, wire.url, self._key))
            return self._client

    def adapter_fields(self, adapter: str | None) -> tuple[str, dict[str, Any]]:
        """(model, further fields) by which a request selects an adapter, another model, or (None) the base alone.

        Raises SettingsError if the server does not have it: llama.cpp would silently answer as the base.
        """
        if adapter is None:
            return self.settings.model, self._scales(None)
        facts = self.facts()
        if not _serves(facts, adapter):
            self._load_adapter(adapter)
            facts = self._await(adapter)
        if facts.dialect == "llama.cpp" and adapter in facts.adapters:
            return self.settings.model, self._scales(adapter)
        if facts.models and not _serves(facts, adapter):
            raise SettingsError(
                f"endpoint {self.name!r} does not serve adapter {adapter!r}; "
                f"it serves: {', '.join(sorted({*facts.models, *facts.adapters}))}; "
                f"{_EXPORT if self.settings.url == EMBEDDED else '`cra serve` loads what is active'}"
            )
        return adapter, {}

    def _scales(self, adapter: str | None) -> dict[str, Any]:
        """The weight of each adapter for llama.cpp. The base alone is selected explicitly as well: a request without
        the field may be answered from what an adapter left in the cache (seen: other probabilities)."""
        with self._lock:
            known = self.facts() if self.settings.url == EMBEDDED else self._facts
        if known is None or known.dialect != "llama.cpp" or not known.adapters:
            return {}
        return {"lora": [{"id": number, "scale": float(name == adapter)} for name, number in known.adapters.items()]}

    def _await(self, adapter: str) -> Facts:
        """The facts once the server has an adapter. `cra serve` loads a newly promoted one within a second or two, so
        where promotions are followed this waits for it."""
        until = time.monotonic() + (_LOADING if self.settings.base and self.settings.url != EMBEDDED else 0.0)
        while True:
            facts = self.facts(fresh=True)
            if _serves(facts, adapter) or time.monotonic() >= until:
                return facts
            time.sleep(_LOADING / 20)

    def _load_adapter(self, adapter: str) -> None:
        """Load an adapter into the embedded model that was added since its start; its address changes with that."""
        if self.settings.url != EMBEDDED:
            return
        window = self.settings.window or EMBEDDED_WINDOW
        with self._lock:
            if embedded.start_with(window, adapter) is not None:
                self._wire = self._client = self._counter = self._facts = None

    @property
    def identity(self) -> str:
        """What may change its answers, without URL and key."""
        used, weights = self.said
        return f"{used} {weights} window {self.window}"

    @property
    def said(self) -> tuple[str, str]:
        """The same as far as the settings define it, with the embedded model's weights; no server is asked."""
        settings = self.settings
        used = settings.model_dump(include={"model", "revision", "json_schema", "thinking", "extra_body"}, mode="json")
        if settings.answer_tokens is not None:
            used["answer_tokens"] = settings.answer_tokens
        if settings.thinking:
            used["thinking_tokens"] = settings.thinking_tokens
        weights = embedded.identity() if settings.url == EMBEDDED else ""
        return str(used), weights


def _serves(facts: Facts, adapter: str) -> bool:
    """Whether a server has an adapter; Ollama adds a tag to the names of its models."""
    return adapter in {*facts.models, *facts.adapters} or f"{adapter}:latest" in facts.models


async def _client(name: str, settings: Endpoint, url: str, key: str | None) -> "Client":
    from llm.client import Client

    return Client(name, settings, url, key)


def _key(name: str, settings: Endpoint) -> str | None:
    if settings.api_key_env is None:
        return None
    key = os.environ.get(settings.api_key_env, "").strip()
    if not key:
        raise SettingsError(
            f"endpoint {name!r} takes its key from the environment variable {settings.api_key_env}, which is not set"
        )
    return key


_lock = threading.Lock()
_services: dict[tuple[int, str, str, str | None], Service] = {}


def open_service(name: str, settings: Endpoint) -> Service:
    """The service of an endpoint; the same one for the same settings and key within a process."""
    key = os.getpid(), name, settings.model_dump_json(), os.environ.get(settings.api_key_env or "")
    with _lock:
        if key not in _services:
            _services[key] = Service(name, settings)
        return _services[key]
