"""One event loop for all calls to models, in its own thread, for synchronous callers."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}


def loop() -> asyncio.AbstractEventLoop:
    """The loop of this process, started on first use; a forked child gets its own."""
    with _lock:
        if os.getpid() not in _loops:
            fresh = asyncio.new_event_loop()
            threading.Thread(target=fresh.run_forever, name="models", daemon=True).start()
            _loops[os.getpid()] = fresh
        return _loops[os.getpid()]


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop and wait for its result; an interrupt of the waiting thread cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
