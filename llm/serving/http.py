"""Small questions to a model server that we run, by HTTP with time-outs. No proxy lies between."""

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, NamedTuple

from models.errors import NoAnswer

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class HttpReply(NamedTuple):
    """What a server said: the HTTP status, and the body (JSON if it is, else text)."""

    status: int
    body: Any

    @property
    def good(self) -> bool:
        """Whether it did what it was asked."""
        return self.status < 400

    @property
    def message(self) -> str:
        """Its own words, on one line, at most 200 characters."""
        error = self.body.get("error", self.body) if isinstance(self.body, dict) else self.body
        said = error.get("message", error) if isinstance(error, dict) else error
        return " ".join(str(said).split())[:200]


def ask(url: str, body: dict[str, Any] | None = None, *, key: str | None = None, timeout: float = 10.0) -> HttpReply:
    """Ask once, by POST if there is a body; `timeout` is in seconds and counts from byte to byte.

    Raises NoAnswer if nothing answers, or not in time.
    """
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310  our own server's URL
    try:
        with _DIRECT.open(request, timeout=timeout) as answer:
            return HttpReply(answer.status, _read(answer.read()))
    except urllib.error.HTTPError as error:
        return HttpReply(error.code, _read(error.read()))
    except (OSError, HTTPException) as error:  # refused, reset, timed out, hung up, or no HTTP at all
        reason = getattr(error, "reason", None) or error
        raise NoAnswer(f"{url} does not answer ({reason}); see the server's log") from error


def _read(data: bytes) -> Any:
    text = data.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text
