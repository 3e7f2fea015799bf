"""Faults of providers classified: the cause, whether a retry helps, and the remedy.

Provider errors become `CallFailed`, prompts that are too long `Overflow`. No message contains a key.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import openai

from models.errors import ProviderError

_KEY = re.compile(r"\b((sk|gsk|xai|hf|pk|nvapi|key)[-_]|AIza|Bearer )[A-Za-z0-9*._-]{8,}")
_TOO_LONG = re.compile(
    r"maximum context length|context (length|size|window)|input length|prompt is too long|too many (input )?tokens"
    r"|exceeds the maximum number of tokens",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(r"jinja|chat.?template|system role|roles must|raise_exception", re.IGNORECASE)
"""What a server says whose chat template refused the conversation; some answer with 500 then."""
_WINDOW = (
    r"maximum context length (?:is|of) (\d+)",
    r"context size \((\d+)",
    r"context (?:length|window) (?:of|is) (\d+)",
    r"> (\d+) maximum",
    r"should be \[\d+, (\d+)\]",
    r"maximum number of tokens allowed \(?(\d+)",
)
_PROMPT = (
    r"prompt (?:contains|is) (?:at least )?(\d+)",
    r"messages resulted in (\d+)",
    r"\((\d+) in the messages",
    r"request \((\d+) tokens",
    r"too long: (\d+)",
    r"token count \(?(\d+)",
    r"requested (\d+)",
)
"""How servers state the numbers, the most reliable first."""
_UNREAD = re.compile(r"model produced output that does not match the expected", re.IGNORECASE)
"""What llama.cpp's server says at the end of an answer that its parser for the chat format cannot read."""
_FOR_GOOD = {"insufficient_quota", "billing_hard_limit_reached", "account_deactivated"}
_SHOWN = 200
_NO_CONNECTION = {"ConnectError", "ConnectTimeout"}
"""Cause classes by name: the HTTP library under the client is an implementation detail."""


class CallFailed(Exception):
    """A provider could not be reached, or its response is no answer.

    retry: a retry may help; wait: seconds of pause that it asks for; busy: it reported too many requests;
    slow: a whole time-out passed; down: the endpoint fails, not only this request.
    """

    def __init__(
        self,
        what: str,
        remedy: str,
        *,
        retry: bool = False,
        wait: float | None = None,
        busy: bool = False,
        slow: bool = False,
        down: bool = True,
        status: int | None = None,
    ) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy
        self.retry, self.wait, self.busy, self.slow, self.down, self.status = retry, wait, busy, slow, down, status

    def as_error(self, endpoint: str, tries: int = 1) -> ProviderError:
        """The error for the caller."""
        after = f" ({tries} tries)" if tries > 1 else ""
        return ProviderError(f"endpoint {endpoint!r}: {self.what}{after}; {self.remedy}", status=self.status)


class Overflow(Exception):
    """The server reports that the prompt is too long, with the numbers that it gave."""

    def __init__(self, prompt: int | None, window: int | None) -> None:
        super().__init__(prompt, window)
        self.prompt, self.window = prompt, window


class Rejected(Exception):
    """A 400 for another reason, such as a field that this server does not know."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.message, self.param = message, param


class OutputUnread(Exception):
    """The server's parser could not read what the model wrote: the model's doing, so what was sent is its answer."""


def refused_by_template(rejected: Rejected) -> bool:
    """Whether a server's chat template refused the conversation."""
    return _TEMPLATE.search(rejected.message) is not None


def redact(text: str, key: str | None) -> str:
    """One line of at most 200 characters, without the key and anything that looks like one."""
    line = " ".join(text.split())
    if key:
        line = line.replace(key, "***")
    line = _KEY.sub("***", line)
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


def read_fault(error: Exception, key: str | None, timeout: float) -> Exception:
    """Classify an exception of the client library: CallFailed, Overflow, Rejected or OutputUnread; unchanged if
    unknown."""
    if isinstance(error, openai.APIError) and _UNREAD.search(
        str(_error_of(error.body).get("message") or error.message)
    ):
        return OutputUnread(redact(error.message, key))
    if isinstance(error, openai.APIStatusError):
        return _read_status(error, key)
    if isinstance(error, openai.APIConnectionError) and type(error.__cause__).__name__ in _NO_CONNECTION:
        text = redact(str(error.__cause__) or "it did not answer", key)
        return CallFailed(f"no connection ({text})", "start the server or correct its url", retry=True)
    if isinstance(error, openai.APITimeoutError | asyncio.TimeoutError):
        return CallFailed(
            f"no whole answer within {timeout:g} s",
            "raise its timeout, or send fewer calls at a time",
            retry=True,
            busy=True,
            slow=True,
        )
    if isinstance(error, openai.APIConnectionError):
        text = redact(str(error.__cause__ or error), key)
        return CallFailed(f"the connection broke ({text})", "if it persists, see the server's log", retry=True)
    if isinstance(error, openai.APIError):  # an error sent inside the stream
        body = _error_of(error.body)
        if (overflow := _overflow(body, error.message)) is not None:
            return overflow
        return CallFailed(f"it sent an error: {redact(error.message, key)}", "see the server's log", retry=True)
    if isinstance(error, TypeError | AttributeError | ValueError | KeyError):
        return CallFailed(
            "its response is not a chat completion (broken or other JSON)",
            "check that its url is the base of an OpenAI-compatible API, mostly ending in /v1",
            retry=True,
        )
    return error


def _read_status(error: openai.APIStatusError, key: str | None) -> Exception:
    status, body = error.status_code, _error_of(error.body)
    message = str(body.get("message") or error.message)
    text = f"HTTP {status}: {redact(message, key)}"
    if status in (400, 413, 422) or (status == 500 and _TEMPLATE.search(message)):
        overflow = _overflow(body, message)
        return overflow if overflow is not None else Rejected(redact(message, key), str(body.get("param") or ""))
    if status in (401, 403):
        remedy = "check the key in the variable that its api_key_env names" if key else "set its api_key_env"
        return CallFailed(f"the key was refused ({text})", remedy, status=status)
    if status == 402 or body.get("code") in _FOR_GOOD or body.get("type") in _FOR_GOOD:
        return CallFailed(f"the account is out of credit ({text})", "top it up or name another endpoint", status=status)
    if status == 404:
        return CallFailed(
            text,
            "check its model (`cra models check` lists what is served) and its url",
            down=False,
            status=status,
        )
    if status == 429:
        return CallFailed(
            f"its rate limit is exceeded ({text})",
            "lower its concurrency or wait",
            retry=True,
            wait=_retry_after(error.response.headers),
            busy=True,
            status=status,
        )
    if status in (408, 409, 425) or status >= 500:
        return CallFailed(
            f"it failed ({text})",
            "if it persists, see the server's log",
            retry=True,
            wait=_retry_after(error.response.headers),
            busy=status in (503, 529),
            status=status,
        )
    return CallFailed(f"it refused the request ({text})", "check its url and settings", down=False, status=status)


def _error_of(body: object) -> dict[str, Any]:
    """The error object of a body: under `error`, or the body itself (old vLLM)."""
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    return body if isinstance(body, dict) else {}


def _overflow(body: dict[str, Any], message: str) -> Overflow | None:
    known = (
        body.get("code") == "context_length_exceeded"
        or body.get("type") == "exceed_context_size_error"
        or body.get("param") == "input_tokens"
    )
    if not known and not _TOO_LONG.search(message):
        return None
    prompt, window = body.get("n_prompt_tokens"), body.get("n_ctx")
    return Overflow(
        prompt if isinstance(prompt, int) else _number(_PROMPT, message),
        window if isinstance(window, int) else _number(_WINDOW, message),
    )


def _number(patterns: tuple[str, ...], message: str) -> int | None:
    found = (re.search(pattern, message, re.IGNORECASE) for pattern in patterns)
    return next((int(match[1]) for match in found if match), None)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
