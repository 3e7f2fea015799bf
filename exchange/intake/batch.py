"""All packages on a medium, one after the other, under the lock of the intake; and watching a folder for media."""

import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from exchange.intake.arrival import take_in
from exchange.intake.context import IntakeContext, source_text
from exchange.intake.integration import recover
from exchange.intake.ledger import decided_listings, read_events, record
from exchange.intake.medium import Facts, MediumFault, MediumReader
from exchange.intake.quarantine import list_tree, listing_hash, look_hash, unlisted_hash
from harness.packages.checks import shown
from harness.packages.checks.tree import TreeFile
from harness.packages.package import MANIFEST
from host.locks import process_lock
from models.errors import PackageRefused, UsageError
from models.intake import ArrivedPackage, IntakeEvent, IntakeVerdict, RefusalReason

_OF_FILE_SYSTEMS = frozenset(
    {"lost+found", "System Volume Information", "$RECYCLE.BIN", ".fseventsd", ".Spotlight-V100", ".Trashes"}
)
"""Folders that file systems and desktops make by themselves; they are not read."""
_MOST_ENTRIES = 1000
"""Entries of a medium's root that are looked at."""
POLL_SECONDS = 5.0
"""Seconds between two looks at a watched folder."""
RETRY_SECONDS = 600.0
"""Seconds until a watched folder in which nothing changed is read again: a damaged medium is not read all the time."""


@dataclass(frozen=True)
class MediumEntry:
    """An entry of a medium's root: a package, or what does not belong there, with the reason."""

    path: Path
    refusal: RefusalReason | None = None
    detail: str = ""


def entries_on(context: IntakeContext, medium: Path) -> list[MediumEntry]:
    """The packages in a folder, or the folder itself if it is one; and everything else that is in it.

    Raises UsageError for a folder that cannot be read, PackageRefused for one that does not answer.
    """
    try:
        with context.reading(medium) as reader:
            listed = list(reader.names(MANIFEST, _MOST_ENTRIES + 1))
    except MediumFault as error:
        raise UsageError(
            f"{medium} cannot be read: {error.strerror}; plug the medium in, or name its folder"
        ) from error
    (_, _, is_package), *inside = listed
    if is_package:
        return [MediumEntry(medium)]
    inside.sort(key=lambda each: os.fsencode(each[0]))
    found = [
        _entry(medium / name, facts, has) for name, facts, has in inside[:_MOST_ENTRIES] if name not in _OF_FILE_SYSTEMS
    ]
    if len(inside) > _MOST_ENTRIES:
        many = f"{shown(medium.name)} has more than {_MOST_ENTRIES} entries, and the others were not looked at; "
        found.append(MediumEntry(medium, RefusalReason.TOO_MANY_FILES, f"{many}remove what is no package"))
    return found


def _entry(path: Path, facts: Facts, has_manifest: bool) -> MediumEntry:
    if not stat.S_ISDIR(facts.mode):
        return MediumEntry(path, RefusalReason.NO_PACKAGE, f"{shown(path.name)} is no folder of a package; remove it")
    if not has_manifest:
        return MediumEntry(
            path, RefusalReason.NO_PACKAGE, f"{shown(path.name)} has no {MANIFEST}; copy the package again"
        )
    return MediumEntry(path)


def ingest(
    context: IntakeContext, medium: Path, busy: Callable[[str], None], *, once: bool = False
) -> list[IntakeEvent]:
    """Take in every package on a medium; the events. What a killed intake left is completed or removed first.

    One intake runs at a time: `busy` is told the process that does. With `once`, packages are passed over whose files
    were decided about before. After one that did not answer, the rest of the medium is left. Raises UsageError,
    InfrastructureError.
    """
    with process_lock(context.folders.lock, busy):
        recovered = recover(context.folders)
        found = [recovered] if recovered is not None else []
        decided = decided_listings(read_events(context.folders), context.dry_run) if once else set()
        try:
            entries = entries_on(context, medium)
        except PackageRefused as error:
            entries = [MediumEntry(medium, error.reason, str(error))]
        for entry in entries:
            if once and _listing(context, entry) in decided:
                continue
            found.append(take_in(context, entry.path) if entry.refusal is None else _stray(context, entry))
            if found[-1].reason is RefusalReason.NO_ANSWER:
                break
        return found


def _listing(context: IntakeContext, entry: MediumEntry) -> str:
    """The hash by which an entry is known again, whether or not it can be listed."""
    try:
        return _told(context, entry, listing_hash)
    except PackageRefused as error:
        return unlisted_hash(entry.path, error)


def _look(context: IntakeContext, entry: MediumEntry) -> str:
    """The state of an entry's files. Raises PackageRefused where there is no answer: the others are not asked for."""
    try:
        return _told(context, entry, look_hash)
    except PackageRefused as error:
        if error.reason is RefusalReason.NO_ANSWER:
            raise
        return unlisted_hash(entry.path, error)


def _told(context: IntakeContext, entry: MediumEntry, told: Callable[[MediumReader, Sequence[TreeFile]], str]) -> str:
    """What `told` makes of an entry's list. Raises PackageRefused."""
    if entry.refusal is not None:
        raise PackageRefused(entry.refusal, entry.detail)
    with context.reading(entry.path) as reader:
        return told(reader, list_tree(reader))


def _stray(context: IntakeContext, entry: MediumEntry) -> IntakeEvent:
    event = IntakeEvent(
        id=secrets.token_hex(8),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        verdict=IntakeVerdict.REFUSED,
        package=ArrivedPackage(source=source_text(entry.path), listing=_listing(context, entry)),
        reason=entry.refusal,
        detail=entry.detail,
    )
    record(context.folders, event)
    return event


def watch(
    context: IntakeContext, folder: Path, busy: Callable[[str], None], pause: Callable[[float], None] = time.sleep
) -> Iterator[list[IntakeEvent]]:
    """Look at a folder again and again; yields the events of each look that decided something. It never ends by itself.

    A folder that is missing or cannot be read is one without a medium. A medium is read once two looks in a row saw
    the same files: until then, it is still being written. What was read and did not change is read again after
    RETRY_SECONDS, or when the medium is plugged in again; so is one that does not answer.
    """
    before: tuple[str, ...] = ()
    rest = 0.0
    while True:
        now = _seen(context, folder)
        rest = rest - POLL_SECONDS if now == before else 0.0
        if now and now == before and rest <= 0:
            rest = RETRY_SECONDS
            if events := _quietly(context, folder, busy):
                yield events
        before = now
        pause(POLL_SECONDS)


def _seen(context: IntakeContext, folder: Path) -> tuple[str, ...]:
    """What a look at a folder sees: each entry with the state of its files, their places on the disk included."""
    try:
        return tuple(_look(context, entry) for entry in entries_on(context, folder))
    except PackageRefused as error:
        return (str(error.reason),)
    except UsageError:
        return ()


def _quietly(context: IntakeContext, folder: Path, busy: Callable[[str], None]) -> list[IntakeEvent]:
    try:
        return ingest(context, folder, busy, once=True)
    except UsageError:  # the medium was pulled between two looks
        return []
