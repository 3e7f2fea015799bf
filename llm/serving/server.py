"""A running server under `cra serve`: what it serves, adapters loaded and unloaded, each checked by a probe.

Served names are immutable: a name is never reused for another adapter, since a server may answer from the old one's
cache. Loaded adapters stay, so that a rollback needs no loading.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from llm.serving.commands import AdapterSpec, ListenAddress
from llm.serving.http import HttpReply, ask
from llm.serving.probe import Probe, TokenScores, llama_request, read_llama, read_vllm, vllm_request
from models.errors import NoAnswer, ServingError

_BUSY = (429, 502, 503, 504)


class Loaded(NamedTuple):
    """A checked adapter: the seconds of loading and probing, and its mean effect in nats."""

    name: str
    load_seconds: float
    probe_seconds: float
    effect: float


class VllmServer:
    """vLLM at an address, with a base by its served name. `timeout` is in seconds, per request."""

    def __init__(self, place: ListenAddress, base: str, *, timeout: float = 120.0) -> None:
        self.place, self.base, self._timeout = place, base, timeout
        self.probe = Probe(self._scores)

    def names(self) -> dict[str, str]:
        """What it serves: name -> the path it was loaded from. Raises ServingError if it does not serve our base."""
        reply = self._ask("/v1/models")
        try:
            served = {str(entry["id"]): str(entry.get("root") or "") for entry in reply.body["data"]}
        except (KeyError, TypeError, AttributeError) as error:
            raise ServingError(f"{self.place.root} is no model server ({reply.message}); is the port right?") from error
        if self.base not in served:
            names = ", ".join(sorted(served)) or "nothing"
            raise ServingError(f"{self.place.root} serves {names}, not {self.base}; another server listens there")
        return served

    def warm(self) -> float:
        """Query the base once, so that loading an adapter later does not wait for it; returns the seconds."""
        began = time.monotonic()
        self.names()
        self.probe.warm()
        return time.monotonic() - began

    def load(self, name: str, path: Path) -> Loaded:
        """Load an adapter and check that it has an effect.

        Raises ServingError if the server refuses it, or answers as the base; it is then unloaded again.
        """
        self.warm()
        began = time.monotonic()
        known = self.names().get(name)
        if known is None:
            reply = self._ask("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})
            if not reply.good and Path(self.names().get(name, "")) != path:  # else it was loaded after the time-out
                raise ServingError(f"the server refused adapter {name}: {reply.message}{_remedy(reply)}")
        elif Path(known) != path:
            raise ServingError(f"{name} is loaded from {known} already; a served name is immutable")
        loaded = time.monotonic()
        try:
            effect = self.probe.effect(name)
        except ServingError:
            if known is None:
                with suppress(ServingError):  # the first fault is the one to report
                    self.unload(name)
            raise
        return Loaded(name, loaded - began, time.monotonic() - loaded, effect)

    def unload(self, name: str) -> None:
        """Unload an adapter. Raises ServingError if it is not loaded."""
        reply = self._ask("/v1/unload_lora_adapter", {"lora_name": name})
        if not reply.good:
            raise ServingError(f"the server did not unload {name}: {reply.message}")

    def healthy(self) -> bool:
        """Whether its health check passes."""
        try:
            return ask(f"{self.place.root}/health", timeout=10.0).good
        except ServingError:
            return False

    def _scores(self, adapter: str | None) -> TokenScores:
        reply = self._ask("/v1/completions", vllm_request(adapter or self.base))
        if reply.status in _BUSY:
            raise NoAnswer(f"{self.place.root} is too busy to answer ({reply.status} {reply.message}); it is retried")
        if not reply.good:
            raise ServingError(f"the server does not answer for {adapter or self.base}: {reply.message}")
        return read_vllm(reply.body)

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> HttpReply:
        return ask(f"{self.place.root}{path}", body, key=self.place.key, timeout=self._timeout)


class LlamaServer:
    """llama.cpp's server: its adapters are loaded at the start, under the names of their files."""

    def __init__(self, place: ListenAddress, base: str, *, timeout: float = 300.0) -> None:
        self.place, self.base, self._timeout = place, base, timeout
        self.probe = Probe(self._scores)
        self._numbers: dict[str, int] = {}

    def names(self) -> dict[str, str]:
        """Its adapters and its base: name -> file."""
        reply = ask(f"{self.place.root}/lora-adapters", key=self.place.key, timeout=self._timeout)
        if not isinstance(reply.body, list):
            raise ServingError(f"{self.place.root} is not a llama.cpp server ({reply.message}); is the port right?")
        self._numbers = {Path(entry["path"]).stem: int(entry["id"]) for entry in reply.body}
        return {self.base: ""} | {Path(entry["path"]).stem: str(entry["path"]) for entry in reply.body}

    def warm(self) -> float:
        """Query the base once; returns the seconds."""
        began = time.monotonic()
        self.names()
        self.probe.warm()
        return time.monotonic() - began

    def load(self, name: str, path: Path) -> Loaded:
        """Check an adapter that was loaded at the start. Raises ServingError if it was not, or has no effect."""
        if name not in self.names():
            raise ServingError(f"{name} was added after the start; restart llama.cpp, which loads adapters then")
        began = time.monotonic()
        return Loaded(name, 0.0, time.monotonic() - began, self.probe.effect(name))

    def healthy(self) -> bool:
        """Whether its health check passes."""
        try:
            return ask(f"{self.place.root}/health", timeout=10.0).good
        except ServingError:
            return False

    def _scores(self, adapter: str | None) -> TokenScores:
        body = llama_request(self._numbers, adapter)
        reply = ask(f"{self.place.root}/completion", body, key=self.place.key, timeout=self._timeout)
        if not reply.good:
            raise ServingError(f"the server does not answer for {adapter or self.base}: {reply.message}")
        return read_llama(reply.body)


Server = VllmServer | LlamaServer


class SyncResult(NamedTuple):
    """Result of updating a server: adapters that were loaded and checked, and why others were not.

    `unanswered` are adapters for which the server gave no reply: they are tried again later.
    """

    loaded: tuple[Loaded, ...]
    failed: dict[str, str]
    unanswered: dict[str, str]


def sync(server: Server, wanted: Sequence[AdapterSpec], proven: Sequence[str] = ()) -> SyncResult:
    """Load the wanted adapters that are not `proven` yet. Nothing is unloaded: older ones stay for a rollback.

    A failure does not keep the others from being loaded. Raises ServingError if the server does not answer.
    """
    loaded: list[Loaded] = []
    failed: dict[str, str] = {}
    unanswered: dict[str, str] = {}
    there = server.names()
    for each in wanted:
        if each.name in proven and each.name in there:
            continue
        try:
            loaded.append(server.load(each.name, each.path))
        except NoAnswer as error:
            unanswered[each.name] = str(error)
        except ServingError as error:
            failed[each.name] = str(error)
    return SyncResult(tuple(loaded), failed, unanswered)


def _remedy(reply: HttpReply) -> str:
    if reply.status == 404 and "adapter" not in reply.message.lower():
        return "; it loads no adapters while it runs, start it with `cra serve`"
    if "rank" in reply.message:
        return "; restart `cra serve`, which allows for the ranks in the registry"
    return ""
