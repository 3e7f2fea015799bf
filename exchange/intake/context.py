"""What an intake works with, and the state of one arrival."""

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from exchange.intake.checking import CheckLog
from exchange.intake.ledger import IntakeFolders
from exchange.intake.medium import MediumReader
from models.intake import ArrivedPackage, IntakeEvent, IntakeSettings, IntakeVerdict
from runtime.trees import Runtime

if TYPE_CHECKING:
    from store.database import Engine

Progress = Callable[[str, int, int], None]
"""Called with the name of the work, the units done (bytes of a copy, instances of a validation), and their total."""


@dataclass(frozen=True)
class IntakeContext:
    """What an intake works with; `progress` and `stage` are told what it is at."""

    folders: IntakeFolders
    limits: IntakeSettings
    runtime: Runtime
    cache: Path
    curated: "Engine"
    raw: "Engine"
    stage: Callable[[str], None]
    progress: Progress
    dry_run: bool = False
    keep_refused: bool = False

    def reading(self, folder: Path) -> MediumReader:
        """A reader of a folder on a medium."""
        return MediumReader(folder, self.limits, self.folders.root)


@dataclass
class Arrival:
    """The state of one arrival: what is known of the package so far; `known` are wheels of which the hash was."""

    context: IntakeContext
    source: Path
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    package: ArrivedPackage = field(init=False)
    log: CheckLog = field(init=False)
    known: frozenset[str] = frozenset()
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.package = ArrivedPackage(source=source_text(self.source))
        self.log = CheckLog(self.context.stage)

    @property
    def folder(self) -> Path:
        """The folder of this arrival in quarantine."""
        return self.context.folders.quarantine / self.id

    def event(self, verdict: IntakeVerdict) -> IntakeEvent:
        """The event as of now."""
        return IntakeEvent(
            id=self.id,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            verdict=verdict,
            package=self.package,
            checks=tuple(self.log.outcomes),
            seconds=round(time.monotonic() - self.started, 3),
        )

    def knows(self, **facts: object) -> None:
        """Add facts about the package."""
        self.package = self.package.model_copy(update=facts)


def source_text(path: Path) -> str:
    """A path on a medium as the ledger can hold it: bytes that are not UTF-8 are spelled out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
