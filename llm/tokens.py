"""Token counts: exact by a tokenizer.json or by the server's own /tokenize, else estimated on the high side.

The framing that a chat format adds to messages is counted too: by the server where it reports it, else as a bound.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from llm.server_facts import REFUSED, Dialect, Facts, ServerClient
from models.chat import Message, alternating
from models.control import ControlTokens, control_tokens
from models.errors import ProviderError, SettingsError
from models.llm_settings import Endpoint
from models.tokens import estimate_tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MESSAGE_FRAME = 8
"""Most tokens that a chat format adds to a message: its marks, its role, line ends."""
PROMPT_FRAME = 40
"""Most tokens that it adds once: the start of the answer, a default system message where the prompt has none."""
_REMEMBERED = 50_000
_ESTIMATE = "estimate"


class TokenCounter(Protocol):
    """Counts the tokens of a model."""

    @property
    def how(self) -> str:
        """`tokenizer.json`, `/tokenize` or `estimate`."""
        ...

    @property
    def exact(self) -> bool:
        """Whether the count of a text is exact."""
        ...

    def text(self, text: str) -> int:
        """Tokens of a text by itself."""
        ...

    def prompt(self, messages: Sequence[Message]) -> int:
        """Tokens of a whole prompt, framing included."""
        ...


class TextCounter:
    """Counts texts with a function; the frame of a chat is an upper bound. Counts are cached by the text's hash."""

    def __init__(self, how: str, count: Callable[[str], int]) -> None:
        self.how = how
        self.exact = how != _ESTIMATE
        self._count = count
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    def text(self, text: str) -> int:
        """Tokens of a text by itself."""
        key = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        tokens = self._count(text)
        with self._lock:
            self._known[key] = tokens
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return tokens

    def prompt(self, messages: Sequence[Message]) -> int:
        """Tokens of a whole prompt, as an upper bound."""
        return PROMPT_FRAME + sum(self.text(message.content) + MESSAGE_FRAME for message in messages)


class ServerCounter(TextCounter):
    """Counts by the server, chat format included."""

    def __init__(self, wire: ServerClient, dialect: Dialect, model: str) -> None:
        super().__init__("/tokenize", self._ask_text)
        self._wire, self._dialect, self._model = wire, dialect, model

    def prompt(self, messages: Sequence[Message]) -> int:
        """Exact tokens of a whole prompt; of its merged form where the server's chat template refuses its roles."""
        merged = alternating(messages)
        try:
            return self._ask_prompt(messages)
        except ProviderError as error:
            if error.status != REFUSED or merged == tuple(messages):
                raise
        return self._ask_prompt(merged)

    def _ask_prompt(self, messages: Sequence[Message]) -> int:
        plain = [{"role": message.role, "content": message.content} for message in messages]
        if self._dialect == "vllm":
            return self._ask({"model": self._model, "messages": plain, "add_generation_prompt": True})
        rendered = self._wire.ask("/apply-template", {"messages": plain})
        text = rendered.get("prompt") if isinstance(rendered, dict) else None
        return self._ask({"content": text, "add_special": True}) if isinstance(text, str) else super().prompt(messages)

    def _ask_text(self, text: str) -> int:
        if self._dialect == "vllm":
            return self._ask({"model": self._model, "prompt": text, "add_special_tokens": False})
        return self._ask({"content": text})

    def _ask(self, body: dict[str, Any]) -> int:
        answer = self._wire.ask("/tokenize", body)
        found = answer.get("tokens") if isinstance(answer, dict) else None
        if not isinstance(found, list):
            raise ProviderError(
                f"endpoint {self._wire.endpoint!r}: its /tokenize answered without tokens; "
                "set its tokenizer to the path of a tokenizer.json"
            )
        return len(found)


def counter(endpoint: str, settings: Endpoint, wire: ServerClient, facts: Callable[[], Facts]) -> TokenCounter:
    """The most exact counter available. Raises SettingsError for a bad tokenizer file, ProviderError."""
    if settings.tokenizer:
        return text_counter(endpoint, settings.tokenizer)[0]
    dialect = facts().dialect
    return TextCounter(_ESTIMATE, estimate_tokens) if dialect is None else ServerCounter(wire, dialect, settings.model)


def own_control_tokens(endpoint: str, settings: Endpoint) -> ControlTokens:
    """The control tokens of an endpoint's model: those of known formats and, with a tokenizer.json, those that it
    declares special. Raises SettingsError for a bad file."""
    if not settings.tokenizer:
        return control_tokens()
    added = _tokenizer(endpoint, settings.tokenizer).get_added_tokens_decoder().values()
    return control_tokens(tuple(sorted(token.content for token in added if token.special)))


def _tokenizer(endpoint: str, path: str) -> "Tokenizer":
    from tokenizers import Tokenizer

    if not Path(path).is_file():
        raise SettingsError(f"models.endpoints.{endpoint}.tokenizer: {path} does not exist; give a tokenizer.json")
    try:
        return Tokenizer.from_file(path)
    except Exception as error:  # the library raises bare Exception
        raise SettingsError(f"models.endpoints.{endpoint}.tokenizer: {path} is no tokenizer.json ({error})") from error


def text_counter(endpoint: str, path: str) -> tuple[TextCounter, str]:
    """A counter by a tokenizer.json, and the start of the SHA-256 of that file. Raises SettingsError for a bad one."""
    tokenizer = _tokenizer(endpoint, path)

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return TextCounter("tokenizer.json", count), hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
