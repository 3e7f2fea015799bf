"""Attacks on the engine's streams, which are no requests and so have a door of their own."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from benchmarks.attacks._engine import engine
from benchmarks.attacks.base import GotThrough

_STREAMS = ("events/in", "events/out", "logs/out", "task_runs/subscriptions/scheduled")
_FIRST: dict[str, tuple[bool, list[dict[str, object]]]] = {
    "without a word": (False, [{"type": "filter", "filter": {}}]),
    "with another password": (True, [{"type": "auth", "token": "cra:wrong"}, {"type": "filter", "filter": {}}]),
    "with no password": (True, [{"type": "auth", "token": None}, {"type": "filter", "filter": {}}]),
    "with another first message": (True, [{"type": "filter", "filter": {}}]),
}


def cases() -> dict[str, Callable[[Path], str]]:
    """The cases by name."""
    return {f"stream {path} {how}": partial(_listen, path, how) for path in _STREAMS for how in _FIRST}


def _listen(path: str, how: str, scratch: Path) -> str:
    spoken, messages = _FIRST[how]
    url = engine().url.rstrip("/").replace("http", "ws", 1)
    protocols = [Subprotocol("prefect")] if spoken else None
    try:
        with connect(f"{url}/{path}", subprotocols=protocols, open_timeout=10, close_timeout=1) as stream:
            for message in messages:
                stream.send(json.dumps(message))
            said = stream.recv(timeout=10)
    except (WebSocketException, OSError) as error:
        return f"closed: {type(error).__name__}"
    raise GotThrough(f"it answered {said[:80]!r}")
