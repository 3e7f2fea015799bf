"""An intake over fresh folders, and what a tree holds."""

import hashlib
import os
from pathlib import Path

from exchange.intake.context import IntakeContext
from exchange.intake.ledger import IntakeFolders
from host.private import private_directory
from models.intake import IntakeSettings
from runtime.trees import Runtime
from store.database import open_database


def intake_in(
    root: Path,
    runtime: Runtime,
    *,
    cache: Path | None = None,
    limits: IntakeSettings | None = None,
    dry_run: bool = False,
    keep_refused: bool = False,
) -> IntakeContext:
    """The context of an intake whose data directory is `root`."""
    folders = IntakeFolders(root / "intake", root / "corpus")
    private_directory(folders.quarantine)
    return IntakeContext(
        folders=folders,
        limits=limits or IntakeSettings(),
        runtime=runtime,
        cache=cache or root / "cache",
        curated=open_database(root / "curated.sqlite", "curated"),
        raw=open_database(root / "raw.sqlite", "raw"),
        stage=lambda stage: None,
        progress=lambda what, done, total: None,
        dry_run=dry_run,
        keep_refused=keep_refused,
    )


def nobody(process: str) -> None:
    """A listener that expects no other intake."""
    raise AssertionError(f"process {process} holds the lock")


def tree_of(root: Path) -> dict[str, str]:
    """What a tree holds: a hash and the time of each file by its path, and what else there is."""
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            plain = path.is_file() and not path.is_symlink()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if plain and status.st_size < 1 << 24 else ""
            found[str(path.relative_to(root))] = f"{oct(status.st_mode)} {status.st_mtime_ns} {content}"
    return found


def files_in(root: Path) -> list[str]:
    """The files and links below a folder, as paths; folders may be being deleted meanwhile."""
    found = []
    for folder, folders, files in os.walk(root):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        found += [str(Path(folder, name).relative_to(root)) for name in (*files, *links)]
    return sorted(found)
