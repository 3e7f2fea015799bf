"""The registry in a bundle: rows of bases, adapters and their trainings, in databases of their own below `registry/`.

A first installation gets whole databases. A later bundle finds others there, which are never overwritten; from these
rows the new bases and adapters, whose files the installer has laid, become known to them.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exchange.bundle.data import DATABASES, database_urls
from exchange.bundle.sources import Contents, Source
from host.throwaway import throwaway
from models.errors import RegistryError, UsageError
from models.settings import Settings
from store.database import open_database
from store.learning.adapters import list_adapters
from store.learning.registry_rows import NewItems, RegistryDatabases, add_items, copy_items, new_items
from store.snapshots import readable_copy, snapshot_sqlite
from store.upkeep import database_facts, is_postgresql, short_lived_engine
from training.adapters.registry.base_statement import check_intact
from training.adapters.registry.checking import check_version
from training.bases.bases import list_bases

if TYPE_CHECKING:
    from sqlalchemy import Engine

FOLDER = "registry"
WITHOUT = "--without-registry"
"""The installer's option that leaves the rows out."""


class Registered(NamedTuple):
    """The names of bases and adapters that became known, or would. `absent`: there is no database to add them to."""

    bases: tuple[str, ...]
    adapters: tuple[str, ...]
    absent: bool = False


def registry_contents(settings: Settings, work: Path) -> Contents:
    """The rows of the registry in two files; none where there is no curated database. The same rows give the same
    bytes. Raises DatabaseError."""
    folder, found = work / FOLDER, Contents()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    urls = database_urls(settings)
    if "curated" not in urls:
        return found
    with throwaway("cra-registry-") as scratch:
        copies = {kind: readable_copy(url, kind, scratch) for kind, url in urls.items()}
        (scratch / FOLDER).mkdir()
        with (
            _opened(copies.get("raw", str(scratch / "none.sqlite")), copies["curated"]) as source,
            _opened(*(str(scratch / FOLDER / f"{kind}.sqlite") for kind in DATABASES)) as target,
        ):
            copy_items(source, target)
        for kind in DATABASES:
            copy = folder / f"{kind}.sqlite"
            snapshot_sqlite(scratch / FOLDER / copy.name, copy, settings.data_dir, settings.corpus)
            found.files.append(Source(f"{FOLDER}/{copy.name}", copy, "database"))
    return found


def register(settings: Settings, folder: Path, *, check_only: bool = False) -> Registered:
    """Make the bases and adapters of a bundle known to the databases of the settings. The same call again adds nothing.

    What is there stays as it is, and which adapters serve does too. With `check_only` nothing is changed, and files are
    not looked at. Raises RegistryError if a name is taken by other weights, or files are not as they were signed: then
    nothing is added; UsageError if the folder is none of a bundle.
    """
    files = [folder / f"{kind}.sqlite" for kind in DATABASES]
    if missing := [file for file in files if not file.is_file()]:
        raise UsageError(f"{missing[0]} is missing; give the folder {FOLDER}/ of an installed version")
    urls = database_urls(settings)
    if "curated" not in urls or database_facts(urls["curated"], "curated").schema is None:
        return Registered((), (), absent=True)
    with throwaway("cra-registry-") as scratch:
        for file in files:
            shutil.copyfile(file, scratch / file.name)
        with _opened(*(str(scratch / file.name) for file in files)) as source:
            live = _unmigrated(urls["curated"], scratch / "live")
            try:
                found = _without_conflicts(new_items(source.curated, live))
            finally:
                live.dispose()
            if check_only or not (found.bases or found.adapters):
                return _named(found)
            _check_files(source, found, settings.data_dir / "keys")
            with _opened(settings.raw_url, settings.curated_url) as databases:
                return _named(_without_conflicts(add_items(source, databases)))


def _unmigrated(url: str, folder: Path) -> "Engine":
    """The curated database, which is not migrated. On a server it is read as it is, since the program in use then, an
    earlier one, cannot bring it up: names of bases and adapters are read alike in all schemas."""
    if is_postgresql(url):
        return short_lived_engine(url)
    folder.mkdir()
    return open_database(readable_copy(url, "curated", folder), "curated")


@contextmanager
def _opened(raw: str, curated: str) -> Iterator[RegistryDatabases]:
    databases = RegistryDatabases(open_database(raw, "raw"), open_database(curated, "curated"))
    try:
        yield databases
    finally:
        for engine in databases:
            engine.dispose()


def _named(found: NewItems) -> Registered:
    return Registered(tuple(item.name for item in found.bases), tuple(item.name for item in found.adapters))


def _without_conflicts(found: NewItems) -> NewItems:
    if found.taken:
        name, theirs, ours = found.taken[0]
        more = f", and {len(found.taken) - 1} more names" if found.taken[1:] else ""
        raise RegistryError(
            f"the bundle has {name} with the hash {theirs[:12]}, and here {name} is {ours[:12]}{more}; nothing was "
            f"changed: number it otherwise where the bundle is made, or install with {WITHOUT}"
        )
    return found


def _check_files(source: RegistryDatabases, found: NewItems, keys: Path) -> None:
    """Raise RegistryError unless the files of what is new, as far as they are here, are as they were signed."""
    new = {item.id for item in (*found.bases, *found.adapters)}
    bases = {base.id: base for base in list_bases(source.curated)}
    for base in bases.values():
        if base.id in new and base.path.is_dir():
            check_intact(base, keys)
    for adapter in list_adapters(source.curated):
        if adapter.id in new and adapter.path.is_dir():
            if adapter.base not in bases:
                raise RegistryError(f"the base {adapter.base[:12]} of {adapter.name} is not in the bundle")
            check_version(adapter, bases[adapter.base], keys)
