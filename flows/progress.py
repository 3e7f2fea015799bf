"""Progress of a flow in this process. A flow's parameters are plain data, so its listener comes by context."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class ProgressListener(Protocol):
    """What is told how far a flow has come."""

    def start(self, what: str, total: int | None, done: int = 0) -> None:
        """A stage of work begins; `total` units, or None while that is not known, of which some are `done` already.

        Said again, more has become known of it.
        """
        ...

    def advance(self, what: str, note: str, by: int = 1) -> None:
        """Units of a stage are done."""
        ...


class _NullListener:
    def start(self, what: str, total: int | None, done: int = 0) -> None:
        """Not shown."""

    def advance(self, what: str, note: str, by: int = 1) -> None:
        """Not shown."""


_NULL = _NullListener()
_listener: ContextVar[ProgressListener] = ContextVar("progress_listener", default=_NULL)


def progress_listener() -> ProgressListener:
    """The listener to the present flow."""
    return _listener.get()


@contextmanager
def watched_by(listener: ProgressListener) -> Iterator[None]:
    """Have flows that run inside this block tell `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
