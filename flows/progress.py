"""Who watches a flow that runs in this process. A flow's parameters are plain data, so the watcher comes by context."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class ProgressListener(Protocol):
    """Somebody who is shown how far a flow has come."""

    def start(self, what: str, total: int | None, done: int = 0) -> None:
        """A stage of work begins; `total` units, or None while that is not known, of which some are `done` already.

        Said again, more has become known of it.
        """
        ...

    def advance(self, what: str, note: str, by: int = 1) -> None:
        """Units of a stage are done."""
        ...


class _Nobody:
    def start(self, what: str, total: int | None, done: int = 0) -> None:
        """Nobody watches."""

    def advance(self, what: str, note: str, by: int = 1) -> None:
        """Nobody watches."""


_NOBODY = _Nobody()
_watcher: ContextVar[ProgressListener] = ContextVar("watcher", default=_NOBODY)


def progress_listener() -> ProgressListener:
    """Whoever watches the present flow."""
    return _watcher.get()


@contextmanager
def watched_by(somebody: ProgressListener) -> Iterator[None]:
    """Show flows that run inside this block to `somebody`."""
    token = _watcher.set(somebody)
    try:
        yield
    finally:
        _watcher.reset(token)
