"""The operation's own log: what each turn did on this machine, in a file of lines that are only ever added.

Turns are numbered, and their order is that of the lines, never that of the clock: a machine without a clock that
survives a power cut may wake up in any year. A clock that goes back, or that runs apart from the time since boot, is
noted and changes nothing else.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from host.append_log import append_line, read_lines
from host.locks import process_lock
from models.errors import InfrastructureError, UsageError
from models.plans import Frozen

FOLDER = "operation"
MOST_SKEW = 60.0
"""Seconds by which a clock may differ before it is noted."""


class EventKind(StrEnum):
    """The stages of a turn in their order, and what is noted beside them."""

    BEGIN = "begin"
    RETENTION = "retention"
    ROUND = "round"
    MEASURE = "measure"
    UPKEEP = "upkeep"
    END = "end"

    DELETED = "deleted"
    STANDING = "standing"
    CLOCK = "clock"
    CONTINUED = "continued"


class OperationEvent(Frozen):
    """One line of the log. `at` is what the clock said, `turn` is 0 before the first turn."""

    turn: int
    kind: EventKind
    at: datetime
    result: dict[str, Any]


class OperationLog:
    """The log of a data directory. One process at a time writes it (`held`)."""

    def __init__(
        self,
        data_dir: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        since_boot: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now` and `since_boot` are the clocks: of the wall, and of the time that only goes forward (seconds)."""
        self.path = data_dir / FOLDER / "log.jsonl"
        self._now, self._since_boot = now, since_boot
        self._checked: tuple[datetime, float] | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only operation of this data directory. Raises UsageError naming the process that is another."""

        def refuse(holder: str) -> None:
            raise UsageError(f"{self.path.parent}: process {holder} operates already; stop it, or wait for its end")

        try:
            with process_lock(self.path.with_name("lock"), refuse):
                yield
        except OSError as error:
            raise InfrastructureError(f"{self.path}: {error.strerror}; make its folder writable") from error

    def events(self) -> list[OperationEvent]:
        """All events, oldest first. Raises InfrastructureError for a damaged file."""
        try:
            return [OperationEvent.model_validate_json(line) for line in read_lines(self.path)]
        except OSError as error:
            raise InfrastructureError(f"{self.path}: {error.strerror}; make it readable") from error
        except ValidationError as error:
            raise InfrastructureError(f"{self.path} holds a line that is no event; restore it from a backup") from error

    def add(self, turn: int, kind: EventKind, result: dict[str, Any]) -> OperationEvent:
        """Add an event and wait until it is on the disk. Raises InfrastructureError."""
        event = OperationEvent(turn=turn, kind=kind, at=self._now(), result=result)
        try:
            append_line(self.path, event.model_dump_json().encode())
        except OSError as error:
            raise InfrastructureError(f"{self.path}: {error.strerror}; free some space, or make it writable") from error
        return event

    def check_clock(self, turn: int, newest: datetime | None) -> None:
        """Note a clock that is behind the newest time on record (`newest`, and the log's own), or that has jumped since
        this process last looked. Each jump is noted once."""
        now, boot = self._now(), self._since_boot()
        events = self.events()
        noted = [event for event in events if event.kind is EventKind.CLOCK]
        since = events[events.index(noted[-1]) :] if noted else events
        known = [event.at for event in since] + ([newest] if newest and not noted else [])
        behind = max(((each - now).total_seconds() for each in known), default=0.0)
        if behind > MOST_SKEW:
            self.add(turn, EventKind.CLOCK, {"behind": round(behind), "newest": max(known).isoformat()})
        elif self._checked is not None:
            wall, before = self._checked
            jumped = (now - wall).total_seconds() - (boot - before)
            if abs(jumped) > MOST_SKEW:
                self.add(turn, EventKind.CLOCK, {"jumped": round(jumped)})
        self._checked = now, boot
