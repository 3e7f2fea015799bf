"""A scripted provider: an OpenAI-compatible HTTP server on loopback that says, and misbehaves, what a test tells it.

    with ScriptedServer(lambda request: "hello") as server:
        ...  # server.url is what goes into an endpoint's `url`; server.requests is what was asked

The script is called once per chat request with the request's JSON and returns a text, a list of texts (one per
choice of `n`), or one of the behaviours below. It may raise: that is answered with a 500. A plain sequence of texts
and behaviours can be given instead; each request takes the next one, and the last one stays.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

_TOKEN = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")


@dataclass(frozen=True)
class Say:
    """A good answer. `trace` is a thinking trace, sent in the field that `trace_field` names."""

    text: str
    trace: str = ""
    trace_field: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    finish: str = "stop"
    cached: int | None = None
    timings: bool = False
    """Report cached tokens as llama.cpp does (`timings.cache_n`) instead of in the usage."""


@dataclass(frozen=True)
class Fail:
    """An HTTP error. `body` replaces the usual JSON error."""

    status: int
    message: str = "scripted failure"
    code: str | None = None
    kind: str = "error"
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True)
class Stall:
    """Send `text`, then nothing more until the client goes away (or the server is closed)."""

    text: str = ""


@dataclass(frozen=True)
class Endless:
    """The same word again and again: up to max_tokens, or for ever when the request has none."""

    word: str = " again"


@dataclass(frozen=True)
class Raw:
    """A 200 with these bytes for a body; `hang_up` promises more than it sends and closes the connection."""

    body: bytes
    content_type: str = "text/event-stream"
    hang_up: bool = False


@dataclass(frozen=True)
class NoChoices:
    """A 200 whose list of choices is empty."""


@dataclass(frozen=True)
class HangUp:
    """Close the connection without a word."""


Behaviour = str | Sequence[str] | Say | Fail | Stall | Endless | Raw | NoChoices | HangUp
Script = Callable[[dict[str, Any]], Behaviour]


def tokens(text: str) -> list[str]:
    """The scripted model's tokens: words and signs, each with the white space before it."""
    return _TOKEN.findall(text)


def in_turn(*behaviours: Behaviour) -> Script:
    """A script that gives each request the next behaviour; the last one stays."""
    rest, lock = list(behaviours), threading.Lock()

    def script(_: dict[str, Any]) -> Behaviour:
        with lock:
            return rest.pop(0) if len(rest) > 1 else rest[0]

    return script


class ScriptedServer:
    """The server, running from construction until `close` (or the end of a `with`).

    flavour: whose dialect it speaks beside chat: `vllm` (/tokenize, max_model_len), `llama.cpp` (/tokenize, /props,
        /apply-template, timings) or `openai` (none of these)
    window: prompt plus max_tokens above it are refused in the flavour's words; None accepts all
    api_key: refuse other keys with 401; None accepts all
    schema: whether `response_format` is accepted; if not, it is a 400
    max_n: requests with a larger `n` are a 400
    unknown: further fields that are refused with a 400
    adapters: LoRA files that llama.cpp has loaded, without suffix
    models: the names that /models lists; with `strict_models` others are a 404
    """

    def __init__(
        self,
        script: Script | Sequence[Any] | str,
        *,
        flavour: Literal["vllm", "llama.cpp", "openai"] = "vllm",
        window: int | None = None,
        api_key: str | None = None,
        schema: bool = True,
        max_n: int = 128,
        models: Sequence[str] = ("scripted",),
        strict_models: bool = False,
        adapters: Sequence[str] = (),
        unknown: Sequence[str] = (),
    ) -> None:
        if isinstance(script, str):
            script = in_turn(script)
        self.script: Script = script if callable(script) else in_turn(*script)
        self.flavour, self.window, self.api_key = flavour, window, api_key
        self.schema, self.max_n, self.models, self.strict_models = schema, max_n, tuple(models), strict_models
        self.adapters, self.unknown = tuple(adapters), tuple(unknown)
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()
        self.closed = threading.Event()
        self._seen: set[str] = set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"scripted": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def root(self) -> str:
        """URL without the version path."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        """URL for an endpoint's `url`."""
        return f"{self.root}/v1"

    def close(self) -> None:
        """Stop listening; stalled answers end. The port then refuses connections."""
        self.closed.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> "ScriptedServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cached(self, prompt: str, count: int) -> int:
        """Tokens of this prompt that an earlier one left in the cache: all but one if it was asked before."""
        with self.lock:
            seen = prompt in self._seen
            self._seen.add(prompt)
        return count - 1 if seen else 0


def _limit(request: dict[str, Any], default: Any = None) -> Any:
    return request.get("max_tokens") or request.get("max_completion_tokens") or default


def _prompt(request: dict[str, Any]) -> str:
    return "".join(f"<{message['role']}>{message['content']}" for message in request.get("messages", []))


class _Handler(BaseHTTPRequestHandler):
    """One connection. A subclass names the server that it answers for."""

    scripted: ScriptedServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def parse_request(self) -> bool:
        good = super().parse_request()
        if self.scripted.closed.is_set():  # the connection outlived the server
            self.close_connection = True
            return False
        return good

    def do_GET(self) -> None:
        self.scripted.paths.append(self.path)
        if not self._allowed():
            return
        if self.path == "/v1/models":
            self._json(200, {"object": "list", "data": [self._model(name) for name in self.scripted.models]})
        elif self.path == "/props" and self.scripted.flavour == "llama.cpp":
            self._json(200, {"default_generation_settings": {"n_ctx": self.scripted.window or 32768}, "total_slots": 1})
        elif self.path == "/lora-adapters" and self.scripted.flavour == "llama.cpp":
            listed = [{"id": number, "path": f"/a/{name}.gguf"} for number, name in enumerate(self.scripted.adapters)]
            self._json(200, listed)
        else:
            self._error(Fail(404, f"no {self.path}", kind="not_found_error"))

    def do_POST(self) -> None:
        self.scripted.paths.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self._allowed():
            return
        request = json.loads(body)
        if self.path == "/v1/chat/completions":
            self._chat(request)
        elif self.path == "/tokenize" and self.scripted.flavour != "openai":
            self._tokenize(request)
        elif self.path == "/apply-template" and self.scripted.flavour == "llama.cpp":
            self._json(200, {"prompt": _prompt(request)})
        else:
            self._error(Fail(404, f"no {self.path}", kind="not_found_error"))

    def _allowed(self) -> bool:
        if self.scripted.api_key is None or self.headers.get("Authorization") == f"Bearer {self.scripted.api_key}":
            return True
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self._error(Fail(401, f"Incorrect API key provided: {given}", code="invalid_api_key"))
        return False

    def _model(self, name: str) -> dict[str, Any]:
        model: dict[str, Any] = {"id": name, "object": "model", "owned_by": self.scripted.flavour}
        if self.scripted.flavour == "vllm":
            model["max_model_len"] = self.scripted.window or 32768
        elif self.scripted.flavour == "llama.cpp":
            model["meta"] = {"n_ctx": self.scripted.window or 32768}
        return model

    def _tokenize(self, request: dict[str, Any]) -> None:
        if self.scripted.flavour == "vllm":
            text = _prompt(request) if "messages" in request else request["prompt"]
            count = len(tokens(text))
            self._json(200, {"count": count, "max_model_len": self.scripted.window or 32768, "tokens": [*range(count)]})
        else:
            self._json(200, {"tokens": [*range(len(tokens(request["content"])))]})

    def _chat(self, request: dict[str, Any]) -> None:
        with self.scripted.lock:
            self.scripted.requests.append(request)
            self.scripted.in_flight += 1
            self.scripted.most_in_flight = max(self.scripted.most_in_flight, self.scripted.in_flight)
        try:
            behaviour = self._refusal(request) or self._scripted(request)
            self._behave(request, behaviour)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with self.scripted.lock:
                self.scripted.in_flight -= 1

    def _scripted(self, request: dict[str, Any]) -> Behaviour:
        try:
            return self.scripted.script(request)
        except Exception as error:  # noqa: BLE001  a script is a test's code: whatever it raises is a 500
            return Fail(500, f"the script raised {error!r}")

    def _refusal(self, request: dict[str, Any]) -> Fail | None:
        if self.scripted.strict_models and request["model"] not in self.scripted.models:
            return Fail(404, f"The model `{request['model']}` does not exist.", code="model_not_found")
        if "response_format" in request and not self.scripted.schema:
            return Fail(400, "response_format is not supported", param="response_format")
        for name in self.scripted.unknown:
            if name in request:
                instead = "; use 'max_completion_tokens' instead" if name == "max_tokens" else ""
                return Fail(400, f"Unsupported parameter: '{name}'{instead}.", param=name)
        if request.get("n", 1) > self.scripted.max_n:
            return Fail(400, f"n must be at most {self.scripted.max_n}", kind="invalid_request_error", param="n")
        count = len(tokens(_prompt(request)))
        wanted = count + _limit(request, 0)
        if self.scripted.window is None or wanted <= self.scripted.window:
            return None
        return _overflow(self.scripted.flavour, self.scripted.window, count, wanted)

    def _behave(self, request: dict[str, Any], behaviour: Behaviour) -> None:
        if isinstance(behaviour, Fail):
            self._error(behaviour)
        elif isinstance(behaviour, HangUp):
            self.close_connection = True
        elif isinstance(behaviour, Raw):
            self._raw(behaviour)
        elif isinstance(behaviour, NoChoices):
            self._answer(request, [])
        elif isinstance(behaviour, Stall):
            self._start_stream()
            self._event(self._chunk(request, 0, {"role": "assistant", "content": behaviour.text}))
            self.scripted.closed.wait(120)
            self.close_connection = True
        elif isinstance(behaviour, Endless):
            self._endless(request, behaviour)
        else:
            texts = [behaviour] if isinstance(behaviour, str | Say) else list(behaviour)
            says = [text if isinstance(text, Say) else Say(text) for text in texts]
            self._answer(request, [says[index % len(says)] for index in range(request.get("n", 1))])

    def _raw(self, raw: Raw) -> None:
        self.send_response(200)
        self.send_header("Content-Type", raw.content_type)
        self.send_header("Content-Length", str(len(raw.body) + (1000 if raw.hang_up else 0)))
        self.end_headers()
        self.wfile.write(raw.body)
        self.close_connection = raw.hang_up

    def _endless(self, request: dict[str, Any], endless: Endless) -> None:
        limit = _limit(request)
        self._start_stream()
        count = 0
        while (limit is None or count < limit) and not self.scripted.closed.is_set():
            self._event(self._chunk(request, 0, {"content": endless.word}))
            count += 1
        self._event(self._chunk(request, 0, {}, "length"))
        self._event({**self._chunk(request, 0, {}), "choices": [], "usage": _usage(10, count, 0)})
        self._end_stream()

    def _answer(self, request: dict[str, Any], says: list[Say]) -> None:
        limit = _limit(request)
        pieces = [tokens(say.text)[:limit] for say in says]
        finishes = ["length" if limit is not None and len(tokens(say.text)) > limit else say.finish for say in says]
        prompt = _prompt(request)
        prompt_tokens = len(tokens(prompt))
        cached = self.scripted.cached(prompt, prompt_tokens)
        if says and says[0].cached is not None:
            cached = says[0].cached
        usage = _usage(prompt_tokens, sum(map(len, pieces)), cached)
        extra: dict[str, Any] = {"usage": usage}
        if self.scripted.flavour == "llama.cpp" or (says and says[0].timings):
            del usage["prompt_tokens_details"]
            extra["timings"] = {"cache_n": cached, "prompt_n": prompt_tokens - cached}
        if not request.get("stream"):
            self._whole(request, says, pieces, finishes, extra)
            return
        self._start_stream()
        for index, (say, parts, finish) in enumerate(zip(says, pieces, finishes, strict=True)):
            if say.trace:
                self._event(self._chunk(request, index, {say.trace_field: say.trace}))
            for part in _grouped(parts):
                self._event(self._chunk(request, index, {"content": part}))
            self._event(self._chunk(request, index, {}, finish))
        if request.get("stream_options", {}).get("include_usage") or self.scripted.flavour == "llama.cpp":
            self._event({**self._chunk(request, 0, {}), "choices": [], **extra})
        self._end_stream()

    def _whole(
        self,
        request: dict[str, Any],
        says: list[Say],
        pieces: list[list[str]],
        finishes: list[str],
        extra: dict[str, Any],
    ) -> None:
        choices = []
        for index, (say, parts, finish) in enumerate(zip(says, pieces, finishes, strict=True)):
            message = {"role": "assistant", "content": "".join(parts)}
            if say.trace:
                message[say.trace_field] = say.trace
            choices.append({"index": index, "message": message, "finish_reason": finish})
        self._json(
            200,
            {"id": "c", "object": "chat.completion", "created": 0, "model": request["model"], "choices": choices}
            | extra,
        )

    def _chunk(
        self, request: dict[str, Any], index: int, delta: dict[str, Any], finish: str | None = None
    ) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        return {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": request["model"],
            "choices": [choice],
        }

    def _start_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _event(self, value: dict[str, Any]) -> None:
        self._piece(f"data: {json.dumps(value)}\n\n".encode())

    def _piece(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _end_stream(self) -> None:
        self._piece(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._text(status, json.dumps(value), headers)

    def _text(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _error(self, fail: Fail) -> None:
        if fail.body is not None:
            self._text(fail.status, fail.body, fail.headers)
            return
        error = {"message": fail.message, "type": fail.kind, "param": fail.param, "code": fail.code or fail.status}
        self._json(fail.status, {"error": error}, fail.headers)


def _overflow(flavour: str, window: int, prompt: int, wanted: int) -> Fail:
    """What each server says of a prompt that is too long."""
    if flavour == "llama.cpp":
        body = {
            "error": {
                "code": 400,
                "message": f"the request exceeds the available context size ({window} tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": prompt,
                "n_ctx": window,
            }
        }
        return Fail(400, body=json.dumps(body))
    if flavour == "vllm":
        message = (
            f"This model's maximum context length is {window} tokens. However, you requested {wanted - prompt} output "
            f"tokens and your prompt contains at least {prompt} input tokens, for a total of at least {wanted} tokens."
        )
        return Fail(400, message, kind="BadRequestError", param="input_tokens")
    message = (
        f"This model's maximum context length is {window} tokens. However, your messages resulted in {prompt} tokens. "
        "Please reduce the length of the messages."
    )
    return Fail(400, message, code="context_length_exceeded", kind="invalid_request_error", param="messages")


def _usage(prompt: int, completion: int, cached: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _grouped(parts: list[str]) -> Iterator[str]:
    """Tokens in a few chunks, so that long texts do not cost one event each."""
    size = max(1, len(parts) // 8)
    for start in range(0, len(parts), size):
        yield "".join(parts[start : start + size])
