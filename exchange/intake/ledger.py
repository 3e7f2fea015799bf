"""The ledger of arrivals: a file that only grows, one JSON line for each package; and the folders of the intake."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from host.append_log import append_line, read_lines
from models.errors import InfrastructureError
from models.intake import IntakeEvent, IntakeVerdict
from models.settings import Settings

_IN = (IntakeVerdict.ACCEPTED, IntakeVerdict.UPDATED, IntakeVerdict.ALREADY_HERE)


@dataclass(frozen=True)
class IntakeFolders:
    """The files of the intake below the data directory, and the corpus."""

    root: Path
    corpus: Path

    @classmethod
    def of(cls, settings: Settings) -> "IntakeFolders":
        """Those of an installation."""
        return cls(settings.data_dir.absolute() / "intake", settings.corpus.absolute())

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.root / "ledger.jsonl"

    @property
    def lock(self) -> Path:
        """The file that one intake at a time locks."""
        return self.root / "lock"

    @property
    def quarantine(self) -> Path:
        """The folder of copies that are being checked."""
        return self.root / "quarantine"

    @property
    def refused(self) -> Path:
        """The folder of refused copies that were kept."""
        return self.root / "refused"

    @property
    def pending(self) -> Path:
        """The event whose package is being moved into the corpus."""
        return self.root / "pending.json"


def record(folders: IntakeFolders, event: IntakeEvent) -> None:
    """Add an event; it is on the disk when this returns. Raises InfrastructureError."""
    try:
        append_line(folders.ledger, event.model_dump_json().encode())
    except OSError as error:
        raise InfrastructureError(
            f"{folders.ledger} cannot be written: {error.strerror}; free some space and try again"
        ) from error


def read_events(folders: IntakeFolders) -> list[IntakeEvent]:
    """All events, the oldest first. Raises InfrastructureError for a damaged line."""
    found = []
    for number, line in enumerate(read_lines(folders.ledger), 1):
        try:
            found.append(IntakeEvent.model_validate_json(line))
        except ValidationError as error:
            raise InfrastructureError(
                f"{folders.ledger}, line {number}, is no event; restore it from a backup"
            ) from error
    return found


def last_arrival(events: list[IntakeEvent], content: str) -> IntakeEvent | None:
    """The last event that brought a package with the same files into the corpus, or found it there."""
    return next((each for each in reversed(events) if each.package.content == content and each.verdict in _IN), None)


def decided_listings(events: list[IntakeEvent], dry_run: bool = False) -> set[str]:
    """The listings that need no further look: accepted, or refused for good; in a dry run, those that passed one."""
    done = (*_IN, IntakeVerdict.CHECKED) if dry_run else _IN
    return {
        each.package.listing
        for each in events
        if each.verdict in done or (each.reason is not None and not each.reason.transient)
    }
