"""Who serves a target now: the active adapters of the curated database, read again a few times a second.

Promotion and rollback move `active` there, and a running router follows within `FRESH_SECONDS`; no server or process
is started again. An adapter answers only where its own base is served (`base` of the endpoint): on another base it
would be refused, or worse, change nothing.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from models.protocols import Stage
from models.training import TrainingTarget

if TYPE_CHECKING:
    from sqlalchemy import Engine

FRESH_SECONDS = 0.5
PINNED = math.inf
"""As `fresh`: what is read first stays, for work whose identity must not change under way."""
_SHOWN = 12
_SQLITE = "sqlite:///"


class Alias(NamedTuple):
    """An active adapter: its target, the name that servers know it by, and its base by hash and by name."""

    target: TrainingTarget
    served: str
    base: str
    base_name: str


AdapterTable = Mapping[Stage, Alias]


def served_name(target: TrainingTarget, version: int, content: str) -> str:
    """The name an adapter is served by. It carries the content hash, so that no server, asked for it, can answer from
    another one's cache."""
    return f"{target.value}-v{version}-{content[:_SHOWN]}"


class Aliases:
    """The active adapters by stage. Safe to use from several threads.

    `curated`: URL of the curated database. A SQLite file that is not there yet holds no adapters and is not made.
    """

    def __init__(self, curated: str, fresh: float = FRESH_SECONDS) -> None:
        self._url, self._fresh = curated, fresh
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._table: AdapterTable = {}
        self._read_at = float("-inf")

    def table(self) -> AdapterTable:
        """Who serves which stage, at most `fresh` seconds old. Raises DatabaseError if it cannot be read: a router that
        answered as the base instead would do so unseen."""
        with self._lock:
            if time.monotonic() - self._read_at >= self._fresh:
                self._table = self._read()
                self._read_at = time.monotonic()
            return self._table

    def resolver(self, stage: Stage, base: str) -> Callable[[], str | None]:
        """A question to ask at every call: the served name of the stage's active adapter, if it belongs to `base` (a
        base's name or hash; empty: to none). Raises DatabaseError as `table` does."""

        def ask() -> str | None:
            alias = self.table().get(stage) if base else None
            return alias.served if alias is not None and base in (alias.base, alias.base_name) else None

        return ask

    def _read(self) -> AdapterTable:
        if self._engine is None:
            if self._url.startswith(_SQLITE) and not Path(self._url.removeprefix(_SQLITE)).exists():
                return {}
            from store.database import open_database

            self._engine = open_database(self._url, "curated")
        return {stage: alias for alias in read_aliases(self._engine) for stage in alias.target.stages}


def read_aliases(curated: "Engine") -> list[Alias]:
    """The active adapters, one per target at most."""
    from sqlalchemy import select
    from sqlmodel import col

    from store.database import reading
    from store.tables import AdapterMetadata, BaseModel

    query = (
        select(
            col(AdapterMetadata.stage),
            col(AdapterMetadata.version),
            col(AdapterMetadata.id),
            col(AdapterMetadata.base),
            col(BaseModel.name),
        )
        .outerjoin(BaseModel, col(BaseModel.id) == AdapterMetadata.base)
        .where(col(AdapterMetadata.active))
        .order_by(col(AdapterMetadata.stage))
    )
    with reading(curated) as connection:
        rows = connection.execute(query).all()
    return [
        Alias(target, served_name(target, version, content), base, name or "")
        for stage, version, content, base, name in rows
        for target in [TrainingTarget(stage)]
    ]
