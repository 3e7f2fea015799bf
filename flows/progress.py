"""Who watches a flow that runs in this process. A flow's parameters are plain data, so the watcher comes by context."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Watcher(Protocol):
    """Somebody who is shown how far a flow has come."""

    def start(self, what: str, total: int | None) -> None:
        """A stage of work begins; `total` units, or None while that is not known."""
        ...

    def advance(self, what: str, note: str) -> None:
        """One unit of a stage is done."""
        ...


class _Nobody:
    def start(self, what: str, total: int | None) -> None:
        """Nobody watches."""

    def advance(self, what: str, note: str) -> None:
        """Nobody watches."""


_NOBODY = _Nobody()
_watcher: ContextVar[Watcher] = ContextVar("watcher", default=_NOBODY)


def watcher() -> Watcher:
    """Whoever watches the present flow."""
    return _watcher.get()


@contextmanager
def watched_by(somebody: Watcher) -> Iterator[None]:
    """Show flows that run inside this block to `somebody`."""
    token = _watcher.set(somebody)
    try:
        yield
    finally:
        _watcher.reset(token)
