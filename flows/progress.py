"""Progress of a flow in this process. A flow's parameters are plain data, so its listener is passed by context."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class ProgressListener(Protocol):
    """A progress listener of a flow."""

    def start(self, what: str, total: int | None, done: int = 0) -> None:
        """A stage of work begins; `total` units, or None while that is not known, of which `done` are finished.

        A repeated call updates the stage.
        """
        ...

    def advance(self, what: str, note: str, by: int = 1) -> None:
        """Units of a stage are done."""
        ...

    def note(self, text: str) -> None:
        """What is waited for, in a line."""
        ...


class _NullListener:
    def start(self, what: str, total: int | None, done: int = 0) -> None:
        """Not shown."""

    def advance(self, what: str, note: str, by: int = 1) -> None:
        """Not shown."""

    def note(self, text: str) -> None:
        """Not shown."""


_NULL = _NullListener()
_listener: ContextVar[ProgressListener] = ContextVar("progress_listener", default=_NULL)


def progress_listener() -> ProgressListener:
    """The listener of the current flow."""
    return _listener.get()


@contextmanager
def watched_by(listener: ProgressListener) -> Iterator[None]:
    """Make flows that run in this context report to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
