"""Opens what an intake of packages works with, from the settings."""

from collections.abc import Callable

from exchange.intake.context import IntakeContext, Progress
from exchange.intake.ledger import IntakeFolders
from host.private import private_directory
from models.settings import Settings
from store.database import open_database
from tasks.runtime import open_runtime


def open_intake(
    settings: Settings,
    stage: Callable[[str], None],
    progress: Progress,
    *,
    sandbox: str | None = None,
    dry_run: bool = False,
    keep_refused: bool = False,
) -> IntakeContext:
    """The context of an intake; `stage` and `progress` are told what it is at.

    Raises SandboxUnavailable, DatabaseError.
    """
    folders = IntakeFolders.of(settings)
    private_directory(folders.quarantine)
    return IntakeContext(
        folders=folders,
        limits=settings.intake,
        runtime=open_runtime(settings, sandbox),
        cache=settings.cache_dir,
        curated=open_database(settings.curated_url, "curated"),
        raw=open_database(settings.raw_url, "raw"),
        stage=stage,
        progress=progress,
        dry_run=dry_run,
        keep_refused=keep_refused,
    )
