"""The engine's server as a program, with a rule for its pages: they talk to this server and to nobody else.

The pages would otherwise report to the engine's makers from the operator's browser; no setting of the server ends that.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from store.trigrams import leave_out_trigrams

WITHOUT_TRIGRAMS = "--without-trigrams"
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_HEADERS = [
    (
        b"content-security-policy",
        b"connect-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; form-action 'self'; base-uri 'self'; "
        b"object-src 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


def kept_to_itself(app: App) -> App:
    """The application, whose pages the browser lets connect to their own server only."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
            await send(message)

        await app(scope, receive, with_headers if scope["type"] == "http" else send)

    return answer


def serve(*, trigrams: bool) -> None:
    """Serve until told to end, at the address that the engine's settings give.

    `trigrams` says whether its PostgreSQL has the extension pg_trgm.
    """
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    if not trigrams:
        leave_out_trigrams()
    api = get_current_settings().server.api
    uvicorn.run(
        kept_to_itself(create_app(final=True)),
        host=api.host,
        port=api.port,
        timeout_keep_alive=api.keepalive_timeout,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    serve(trigrams=WITHOUT_TRIGRAMS not in sys.argv)
