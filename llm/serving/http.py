"""Small HTTP requests with time-outs to a model server that we run. No proxy is used, and no redirect followed."""

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, NamedTuple

from models.errors import NoAnswer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer of its own: it might lead to another machine."""

    def redirect_request(self, *_: Any) -> None:
        return None


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())


class HttpReply(NamedTuple):
    """A server's reply: the HTTP status, and the body (parsed if it is JSON, else text)."""

    status: int
    body: Any

    @property
    def good(self) -> bool:
        """Whether the request succeeded."""
        return self.status < 300

    @property
    def message(self) -> str:
        """The server's own message, on one line, at most 200 characters."""
        error = self.body.get("error", self.body) if isinstance(self.body, dict) else self.body
        text = error.get("message", error) if isinstance(error, dict) else error
        return " ".join(str(text).split())[:200]


def ask(url: str, body: dict[str, Any] | None = None, *, key: str | None = None, timeout: float = 10.0) -> HttpReply:
    """Send one request, by POST if there is a body; `timeout` is in seconds, per read.

    Raises NoAnswer if there is no reply, or not in time.
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
