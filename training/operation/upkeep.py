"""Databases between rounds: their sizes, compaction where it pays, and how long the disk lasts at this rate."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from models.plans import Frozen
from models.settings import Settings
from store.upkeep import Compaction, compact_sqlite, database_facts, is_postgresql, sqlite_file, sqlite_size
from training.operation.retention import GIB, DiskState

RAW, CURATED = "raw", "curated"
ENGINE_DATABASES = {"engine": ("engine", "engine.db"), "server": ("server", "prefect.db")}
"""Databases of the engine's servers, by their place in the data directory: their size is shown, the engine itself
deletes old events from them."""
_TURNS = 6
"""Turns by whose growth the disk's end is foretold."""


class DatabaseUpkeep(Frozen):
    """A database after a turn: its bytes, those before its upkeep, and what was done or why not."""

    bytes: int
    before: int
    rewritten: bool
    note: str


class Forecast(Frozen):
    """Bytes that a turn adds (the median of the last turns; None: fewer than two are known), and the turns until the
    budget or the disk is full (None: unknown, or it does not grow)."""

    bytes_per_turn: int | None
    turns_left: int | None


def keep_up(settings: Settings) -> dict[str, DatabaseUpkeep]:
    """Compact the raw and the curated database where it pays, and measure them and the engine's. Raises
    DatabaseError."""
    found = {name: _ours(name, url, settings) for name, url in urls(settings).items()}
    for name, place in ENGINE_DATABASES.items():
        if size := sqlite_size(settings.data_dir.joinpath(*place)):
            found[name] = DatabaseUpkeep(bytes=size, before=size, rewritten=False, note="the engine's own")
    return found


def urls(settings: Settings) -> dict[str, str]:
    """The URLs of the raw and the curated database."""
    return {RAW: settings.raw_url, CURATED: settings.curated_url}


def _ours(name: str, url: str, settings: Settings) -> DatabaseUpkeep:
    if is_postgresql(url):
        size = database_facts(url, "raw" if name == RAW else "curated").size
        return DatabaseUpkeep(bytes=size, before=size, rewritten=False, note="PostgreSQL compacts itself (autovacuum)")
    done = _compacted(sqlite_file(url), settings)
    return DatabaseUpkeep(bytes=done.after, before=done.before, rewritten=done.rewritten, note=done.note)


def _compacted(path: Path, settings: Settings) -> Compaction:
    return compact_sqlite(path, settings.operation.vacuum_share)


def forecast(disks: Sequence[DiskState], settings: Settings) -> Forecast:
    """How fast the used bytes grow from turn to turn, and how long that can go on; `disks` are those at the turns'
    ends, in order."""
    last = disks[-_TURNS - 1 :]
    growth = [then.used - before.used for before, then in pairwise(last)]
    if not growth:
        return Forecast(bytes_per_turn=None, turns_left=None)
    rate, limits = int(median(growth)), settings.operation
    room = last[-1].free - int(limits.least_free_gib * GIB)
    if limits.disk_budget_gib is not None:
        room = min(room, int(limits.disk_budget_gib * GIB) - last[-1].used)
    return Forecast(bytes_per_turn=rate, turns_left=max(0, room) // rate if rate > 0 else None)
