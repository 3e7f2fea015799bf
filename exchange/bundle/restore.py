"""The dumps of a bundle that was made from PostgreSQL databases, restored into those that the settings name."""

from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from exchange.bundle.data import DATABASES, DUMP, ORIGIN
from models.errors import UsageError
from models.settings import Settings
from store.database import without_password
from store.restoring import Origin, restore_postgresql, restore_state
from store.upkeep import is_postgresql


class RestoredDump(NamedTuple):
    """A dump and the database that holds it now; `before`: it did so already."""

    dump: Path
    database: str
    before: bool


def restore_dumps(settings: Settings, folder: Path) -> list[RestoredDump]:
    """Restore each dump in a folder into the empty database that the settings name for it; after a kill the same call
    goes on. Nothing is changed unless all can be restored.

    Raises UsageError where the settings do not fit the dumps, DatabaseError for a database that is not empty.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name PREFIX/current/databases of the installation")
    chosen = [(dump, _target(settings, dump)) for dump in sorted(folder.glob(f"*{DUMP}"))]
    if not chosen:
        raise UsageError(
            f"{folder} holds no dump; a bundle of SQLite databases lays them into the data directory, and nothing is "
            "to be restored"
        )
    if len({url for _, url in chosen}) < len(chosen):
        names = " and ".join(dump.name for dump, _ in chosen)
        raise UsageError(f"{names} are of two databases, and the settings name one for both; name two")
    origin = _origin(folder / ORIGIN)
    for dump, url in chosen:
        restore_state(url, dump)
    return [
        RestoredDump(dump, without_password(url), not restore_postgresql(url, dump, origin)) for dump, url in chosen
    ]


def _target(settings: Settings, dump: Path) -> str:
    """The database for a dump, which is named after what it holds ("raw-curated.dump": both)."""
    kinds = dump.name.removesuffix(DUMP).split("-")
    if unknown := set(kinds) - set(DATABASES):
        raise UsageError(f"{dump} is no dump of a bundle ({min(unknown)!a}); give the folder databases/ of its version")
    urls = {kind: url for kind, url in zip(DATABASES, (settings.raw_url, settings.curated_url), strict=True)
            if kind in kinds}  # fmt: skip
    for kind, url in urls.items():
        if not is_postgresql(url):
            raise UsageError(
                f"{dump.name} is for PostgreSQL, and the {kind} database is {url}; set CRA_{kind.upper()}_DATABASE to "
                "postgresql://USER@HOST/NAME"
            )
    if len(set(urls.values())) > 1:
        raise UsageError(f"{dump.name} holds both databases in one; name the same one for {' and '.join(urls)}")
    return next(iter(urls.values()))


def _origin(file: Path) -> Origin:
    try:
        return TypeAdapter(Origin).validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{file} does not say where the dumps were made; install the bundle again") from error
