"""Properties that a server reports: the models and adapters it serves, its window, how it counts tokens."""

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from host.air_gap import is_air_gapped, uses_proxies
from models.errors import ProviderError

if TYPE_CHECKING:
    from openai import OpenAI

Dialect = Literal["vllm", "llama.cpp"]
_SECONDS = 20.0
_NOT_OFFERED = {404, 405, 501}
REFUSED = 400
"""The status of an error where a server understood a request and would not do it."""


@dataclass(frozen=True)
class Facts:
    """Known properties of a server.

    models: names it serves, adapters included; empty where it has no list. adapters: those of them that are adapters
    on a base; for llama.cpp, name -> its number. dialect: the kind of its /tokenize, None if it has none.
    """

    models: tuple[str, ...] = ()
    adapters: dict[str, int] = field(default_factory=dict)
    window: int | None = None
    dialect: Dialect | None = None


class ServerClient:
    """Small requests to a server apart from chat. Thread-safe."""

    def __init__(self, endpoint: str, url: str, key: str | None) -> None:
        import openai

        self.endpoint, self.url, self._key = endpoint, url, key
        self.root = url.removesuffix("/v1")
        self._openai: OpenAI = openai.OpenAI(
            base_url=url,
            api_key=key or "none",
            max_retries=2,
            timeout=_SECONDS,
            http_client=openai.DefaultHttpxClient(
                trust_env=uses_proxies(url), follow_redirects=not is_air_gapped(), timeout=_SECONDS
            ),
        )
        self._openai.organization = self._openai.project = None

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON at a path of the server (by POST if there is a body), or None if it has no such path.

        Raises ProviderError.
        """
        import openai

        from llm.faults import CallFailed, OutputUnread, Overflow, Rejected, read_fault

        url = f"{self.url if path == '/models' else self.root}{path}"
        try:
            answer = (
                self._openai.get(url, cast_to=object)
                if body is None
                else self._openai.post(url, body=body, cast_to=object)
            )
        except openai.APIStatusError as error:
            if error.status_code in _NOT_OFFERED:
                return None
            fault = read_fault(error, self._key, _SECONDS)
        except (openai.OpenAIError, ValueError) as error:
            fault = read_fault(error, self._key, _SECONDS)
        else:
            return answer
        if isinstance(fault, Overflow | Rejected | OutputUnread):
            fault = CallFailed(f"it refused {path} ({fault})", "check its url", status=REFUSED)
        assert isinstance(fault, CallFailed)
        failure: ProviderError = fault.as_error(self.endpoint)
        raise failure


def ask_facts(wire: ServerClient, model: str) -> Facts:
    """The properties of a server and of one of its models. Raises ProviderError if it cannot be reached."""
    entries = [entry for entry in _object(wire.ask("/models")).get("data") or () if "id" in _object(entry)]
    names = tuple(str(entry["id"]) for entry in entries)
    own = next((entry for entry in entries if entry["id"] == model), entries[0] if len(entries) == 1 else {})
    dialect = _dialect(wire, model)
    if dialect == "llama.cpp":
        window = _object(_object(wire.ask("/props")).get("default_generation_settings")).get("n_ctx")
        return Facts(names, _llama_adapters(wire), window if isinstance(window, int) else None, dialect)
    adapters = {str(entry["id"]): index for index, entry in enumerate(entries) if entry.get("parent")}
    window = own.get("max_model_len")
    return Facts(names, adapters, window if isinstance(window, int) else None, dialect)


def _dialect(wire: ServerClient, model: str) -> Dialect | None:
    """Detected by tokenizing a word: vLLM also returns the count."""
    try:
        answer = wire.ask("/tokenize", {"model": model, "prompt": "word", "content": "word"})
    except ProviderError:  # a hosted API may respond to an unknown path in any way
        return None
    if not isinstance(_object(answer).get("tokens"), list):
        return None
    return "vllm" if isinstance(answer.get("count"), int) else "llama.cpp"


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _llama_adapters(wire: ServerClient) -> dict[str, int]:
    """llama.cpp loads adapters at its start and numbers them; each is named by its file, without suffix."""
    listed = wire.ask("/lora-adapters")
    entries = listed if isinstance(listed, list) else []
    return {PurePath(str(entry["path"])).stem: int(entry["id"]) for entry in entries}
