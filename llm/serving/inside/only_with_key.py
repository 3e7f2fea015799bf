"""Runs inside vLLM, in its environment: requires the API key on every path but /health.

vLLM itself requires it under /v1 (and a few more) only; /invocations, /tokenize and others are open to anyone.
"""

import os
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
App = Callable[[AsgiMessage, Receive, Send], Awaitable[None]]


class OnlyWithKey:
    """ASGI middleware. The key is in VLLM_API_KEY."""

    def __init__(self, app: App) -> None:
        self.app, self._wanted = app, f"Bearer {os.environ['VLLM_API_KEY']}".encode()

    async def __call__(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "lifespan" or scope["path"] == "/health" or self._has_key(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "websocket.close"})

    def _has_key(self, scope: AsgiMessage) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        return secrets.compare_digest(given, self._wanted)
