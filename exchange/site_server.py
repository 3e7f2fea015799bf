"""A static site on loopback, for one reader: behind a random path, to the exact host only, loading nothing from
elsewhere."""

import asyncio
import re
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from models.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    import uvicorn
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"
_TOKEN_BYTES = 24
_META_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"')
_SHUTDOWN_SECONDS = 1
_SOURCES = frozenset({"'none'", "'self'", "'unsafe-inline'", "'wasm-unsafe-eval'", "data:"})
"""Sources that a policy may name, besides hashes of inline scripts."""


def content_policy(site: Path) -> str:
    """The Content-Security-Policy that a site's page asks for, with a ban on being framed.

    Raises InfrastructureError for a page without one, or with one that allows another host: untrusted text must not
    reach any.
    """
    found = _META_POLICY.search((site / "index.html").read_text(encoding="utf-8"))
    if found is None:
        raise InfrastructureError(f"{site}/index.html has no Content-Security-Policy; upgrade inspect-ai")
    policy = found[1].replace("&quot;", '"').replace("&amp;", "&")
    for directive in policy.split(";"):
        for source in directive.split()[1:]:
            if source not in _SOURCES and not re.fullmatch(r"'sha(256|384|512)-[A-Za-z0-9+/=]+'", source):
                raise InfrastructureError(f"{site}/index.html may load from {source}; this version is not shown")
    if "default-src 'none'" not in policy:
        raise InfrastructureError(f"{site}/index.html forbids nothing by default; this version is not shown")
    return f"{policy}; frame-ancestors 'none'"


def serve_site(site: Path, port: int, ready: Callable[[str], None]) -> None:
    """Serve a site until SIGINT or SIGTERM; `ready` is told its URL once it can be reached. Port 0 takes a free one.

    Raises UsageError if the port is taken, InfrastructureError if the site must not be shown.
    """
    import uvicorn

    policy = content_policy(site)
    with _bound(port) as listening:
        number = listening.getsockname()[1]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        config = uvicorn.Config(
            site_app(site, policy, token, number),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        server = uvicorn.Server(config)
        listening.listen()  # from here on a browser can connect, and waits for the loop below
        ready(f"http://{HOST}:{number}/{token}/")
        with _stopped_by_signals(server):
            asyncio.run(server._serve([listening]))


@contextmanager
def _stopped_by_signals(server: "uvicorn.Server") -> Iterator[None]:
    """Have SIGINT and SIGTERM end the server without waiting for its readers, and raise nothing afterwards."""

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = server.force_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def site_app(site: Path, policy: str, token: str, port: int) -> Any:
    """The ASGI application: files of `site` below `/TOKEN/`, with ranges; everything else is refused."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    hosts = {f"{HOST}:{port}", f"localhost:{port}"}
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache, private",
        "X-DNS-Prefetch-Control": "off",
    }

    class Guard(BaseHTTPMiddleware):
        async def dispatch(self, request: "Request", call_next: RequestResponseEndpoint) -> "Response":
            why = refusal(request.headers, hosts) or _wrong_path(request.url.path, token)
            response = PlainTextResponse(why, 403) if why else await call_next(request)
            response.headers.update(headers)
            return response

    files = StaticFiles(directory=site, html=True)
    return Starlette(routes=[Mount(f"/{token}", files)], middleware=[Middleware(Guard)])


def refusal(headers: Any, hosts: set[str]) -> str:
    """Why a request is refused, or nothing: its host must be ours exactly, and no other site may have caused it.

    `headers` are those of a request (a mapping without regard to case).
    """
    if headers.get("host", "") not in hosts:
        return "unknown host: open the address that the command printed"
    origin = headers.get("origin")
    if origin is not None and origin not in {f"http://{host}" for host in hosts}:
        return "requests of other sites are refused"
    site = headers.get("sec-fetch-site", "none")
    if site not in ("same-origin", "none") and headers.get("sec-fetch-mode") != "navigate":
        return "requests of other sites are refused"
    return ""


def _wrong_path(path: str, token: str) -> str:
    given = path.split("/")[1].encode("utf-8", "replace")
    return "" if secrets.compare_digest(given, token.encode()) else "open the whole address that the command printed"


def _bound(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise UsageError(f"port {port} cannot be used ({error.strerror}); give another --port, or 0") from error
    return listening
