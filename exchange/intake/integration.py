"""The move of a checked package into the corpus: in one step, and completed or undone after a kill at any moment.

The event is written as pending before the move and added to the ledger after it. What the next intake finds pending has
either been moved, and is then recorded, or not, and is then forgotten.
"""

import contextlib
from pathlib import Path

from pydantic import ValidationError

from exchange.intake.ledger import IntakeFolders, read_events, record
from harness.packages.package import read_manifest, write_atomically
from host.folders import copy_tree
from host.private import private_directory
from host.renames import exchange_names, rename_new, sync_folder, sync_tree
from host.throwaway import discard
from models.errors import InfrastructureError, ManifestError, MoveUnconfirmed
from models.intake import IntakeEvent

_STAGING = ".cra-intake"


def integrate(folders: IntakeFolders, directory: Path, event: IntakeEvent) -> None:
    """Move a package from quarantine into the corpus under its name, in place of an earlier state, and record it.

    Raises InfrastructureError, and the corpus is then as it was; MoveUnconfirmed after the move, which the next intake
    records.
    """
    target = folders.corpus / event.package.name
    try:
        folders.corpus.mkdir(parents=True, exist_ok=True)
        source = _beside_the_corpus(folders, directory)
        sync_tree(source)
        write_atomically(folders.pending, event.model_dump_json())
        sync_folder(folders.root)
        if target.exists():
            exchange_names(source, target)
        else:
            rename_new(source, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            folders.pending.unlink()
        raise InfrastructureError(f"{target} cannot be put in place: {error.strerror}; try again") from error
    _confirm(folders, event)
    discard(folders.corpus / _STAGING)


def _confirm(folders: IntakeFolders, event: IntakeEvent) -> None:
    """Record a move that was made, when the disk has it. Raises MoveUnconfirmed; the event then stays pending."""
    target = folders.corpus / event.package.name
    try:
        sync_folder(folders.corpus)
        record(folders, event)
        folders.pending.unlink()
    except (OSError, InfrastructureError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise MoveUnconfirmed(
            f"{target} is in the corpus, but the disk did not confirm it ({why}); look at the disk and give the "
            "command again, which records the arrival"
        ) from error


def _beside_the_corpus(folders: IntakeFolders, directory: Path) -> Path:
    """The package on the file system of the corpus, where a rename is one step: a copy if it is on another."""
    if directory.stat().st_dev == folders.corpus.stat().st_dev:
        return directory
    staging = private_directory(folders.corpus / _STAGING)
    copy = staging / directory.parent.name / directory.name
    copy.parent.mkdir()
    copy_tree(directory, copy)
    return copy


def recover(folders: IntakeFolders) -> IntakeEvent | None:
    """Complete what a kill interrupted, and remove what it left in quarantine; the event that was completed.

    The caller holds the lock. Raises InfrastructureError, MoveUnconfirmed as long as the disk does not confirm a move.
    """
    done = None
    event = _pending(folders)
    if event is not None:
        known = {each.id for each in read_events(folders) if each.verdict is event.verdict}
        if _identity_here(folders, event) == event.identity and event.id not in known:
            _confirm(folders, event)
            done = event
        else:
            folders.pending.unlink()
    for left in sorted(folders.quarantine.glob("[!.]*")):
        discard(left)
    discard(folders.corpus / _STAGING)
    return done


def _pending(folders: IntakeFolders) -> IntakeEvent | None:
    try:
        return IntakeEvent.model_validate_json(folders.pending.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise InfrastructureError(f"{folders.pending} is damaged; move it away and look at the corpus") from error


def _identity_here(folders: IntakeFolders, event: IntakeEvent) -> str:
    try:
        return read_manifest(folders.corpus / event.package.name).identity()
    except ManifestError:
        return ""
