"""The active adapter of each target, read from the curated database a few times a second.

Promotion and rollback move `active` there, and a running router follows within `FRESH_SECONDS`; no server or process
is restarted. An adapter is used only at an endpoint that serves its own base (`base`): on another base it would be
refused or, worse, have no effect.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from models.class_bias import ClassBias, read_class_bias
from models.protocols import Stage
from models.training import TrainingTarget

if TYPE_CHECKING:
    from sqlalchemy import Engine

FRESH_SECONDS = 0.5
PINNED = math.inf
"""As `fresh`: the first read is kept, for work whose identity must not change while it runs."""
_SHOWN = 12
_SQLITE = "sqlite:///"


class Alias(NamedTuple):
    """An active adapter: its target, the name under which it is served, and its base by hash and by name."""

    target: TrainingTarget
    served: str
    base: str
    base_name: str


AdapterTable = Mapping[Stage, Alias]


def served_name(target: TrainingTarget, version: int, content: str) -> str:
    """The name under which an adapter is served. It contains the content hash, so that no server can answer from the
    cache of another adapter."""
    return f"{target.value}-v{version}-{content[:_SHOWN]}"


class Aliases:
    """The active adapters by stage. Safe to use from several threads.

    `curated`: URL of the curated database. A SQLite file that does not exist holds no adapters and is not created.
    """

    def __init__(self, curated: str, fresh: float = FRESH_SECONDS) -> None:
        self._url, self._fresh = curated, fresh
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._table: AdapterTable = {}
        self._read_at = float("-inf")
        self._biases: dict[str, ClassBias] = {}

    def table(self) -> AdapterTable:
        """The active adapters by stage, at most `fresh` seconds old. Raises DatabaseError if they cannot be read:
        falling back to the base would go unnoticed."""
        with self._lock:
            if time.monotonic() - self._read_at >= self._fresh:
                self._table = self._read()
                self._read_at = time.monotonic()
            return self._table

    def resolver(self, stage: Stage, base: str) -> Callable[[], str | None]:
        """A function that returns the served name of the stage's active adapter, if it belongs to `base` (a base's name
        or hash; empty: to none). It raises DatabaseError as `table` does."""

        def ask() -> str | None:
            alias = self.table().get(stage) if base else None
            return alias.served if alias is not None and base in (alias.base, alias.base_name) else None

        return ask

    def class_bias(self, served: str) -> ClassBias | None:
        """The class bias of an adapter by its served name, promoted or not; None: it has none, or is not registered.

        One that was found is kept, as it never changes; none is asked for again, as the adapter may be registered
        later. Raises DatabaseError as `table` does.
        """
        with self._lock:
            known = self._biases.get(served)
            if known is None and (engine := self._opened()) is not None and (found := read_bias(engine, served)):
                known = self._biases[served] = found
            return known

    def _read(self) -> AdapterTable:
        engine = self._opened()
        aliases = [] if engine is None else read_aliases(engine)
        return {stage: alias for alias in aliases for stage in alias.target.stages}

    def _opened(self) -> "Engine | None":
        """The database; None if there is no file of it yet."""
        if self._engine is None:
            if self._url.startswith(_SQLITE) and not Path(self._url.removeprefix(_SQLITE)).exists():
                return None
            from store.database import open_database

            self._engine = open_database(self._url, "curated")
        return self._engine


def read_bias(curated: "Engine", served: str) -> ClassBias | None:
    """The class bias of the adapter of a served name; None: it has none, or there is no such adapter."""
    from sqlalchemy import select
    from sqlmodel import col

    from store.database import reading
    from store.tables import AdapterMetadata

    query = select(
        col(AdapterMetadata.stage), col(AdapterMetadata.version), col(AdapterMetadata.id), col(AdapterMetadata.metrics)
    )
    with reading(curated) as connection:
        rows = connection.execute(query.where(col(AdapterMetadata.id).like(f"{served.rpartition('-')[2]}%"))).all()
    found = [
        metrics for stage, version, id_, metrics in rows if served_name(TrainingTarget(stage), version, id_) == served
    ]
    return read_class_bias(found[0]) if found else None


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
