"""Trained adapters: numbered versions that never change, of which at most one per target is active (the champion)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from models.class_bias import ClassBias, read_class_bias
from models.plans import Frozen
from models.training import TrainingTarget
from store.active_adapters import served_name
from store.database import reading
from store.places import located
from store.tables import AdapterMetadata, BaseModel, table_of

_ADAPTERS, _BASES = table_of(AdapterMetadata), table_of(BaseModel)
_LOCK_ID = 0xADA97E


class AdapterVersion(Frozen):
    """A registered adapter. `id` is the hash of its two files, `base` that of its base; `path` its directory."""

    id: str
    target: TrainingTarget
    version: int
    base: str
    base_name: str
    path: Path
    dataset_id: str
    plan_id: str
    metrics: dict[str, Any]
    active: bool
    trained_at: datetime
    created_at: datetime

    @property
    def name(self) -> str:
        """The display name, `{target}-v{N}`."""
        return f"{self.target.value}-v{self.version}"

    @property
    def served(self) -> str:
        """The name under which it is served, which contains its hash."""
        return served_name(self.target, self.version, self.id)

    @property
    def class_bias(self) -> ClassBias | None:
        """The offsets of its classes, as in its signed statement; None: none were fitted."""
        return read_class_bias(self.metrics)


def list_adapters(curated: Engine, target: TrainingTarget | None = None) -> list[AdapterVersion]:
    """All adapters, or those of a target, by target and number."""
    query = (
        select(_ADAPTERS, _BASES.c.name)
        .outerjoin(_BASES, _BASES.c.id == _ADAPTERS.c.base)
        .order_by(_ADAPTERS.c.stage, _ADAPTERS.c.version)
    )
    if target is not None:
        query = query.where(_ADAPTERS.c.stage == target.value)
    with reading(curated) as connection:
        rows = connection.execute(query).mappings().all()
    return [
        AdapterVersion(
            target=TrainingTarget(row["stage"]),
            base_name=row["name"] or row["base"][:12],
            path=located(row["path"]),
            **{name: row[name] for name in AdapterVersion.model_fields if name not in ("target", "base_name", "path")},
        )
        for row in rows
    ]


def add_adapter(
    curated: Engine,
    content: str,
    target: TrainingTarget,
    base: str,
    path: Path,
    *,
    dataset_id: str,
    plan_id: str,
    metrics: Mapping[str, Any],
    trained_at: datetime,
) -> None:
    """Store an adapter (by the hash of its files) under its target's next number, unless it is stored."""
    with deciding(curated) as connection:
        if connection.scalar(select(_ADAPTERS.c.id).where(_ADAPTERS.c.id == content)) is not None:
            return
        newest = select(func.max(_ADAPTERS.c.version)).where(_ADAPTERS.c.stage == target.value)
        row = AdapterMetadata(
            id=content,
            stage=target.value,
            version=(connection.scalar(newest) or 0) + 1,
            base=base,
            path=str(path),
            dataset_id=dataset_id,
            plan_id=plan_id,
            metrics=dict(metrics),
            trained_at=trained_at,
        )
        connection.execute(insert(_ADAPTERS).values(row.model_dump()))


@contextmanager
def deciding(curated: Engine) -> Iterator[Connection]:
    """An exclusive transaction for numbering and activating adapters: what it reads cannot change before it writes
    (compare-and-set). Committed at the end, rolled back on any error."""
    with curated.begin() as connection:
        if connection.dialect.name == "postgresql":  # SQLite's begin with the write lock
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_ID})")
        yield connection


def serving(connection: Connection, target: TrainingTarget) -> str | None:
    """The active adapter of a target; None: the base alone."""
    found: str | None = connection.scalar(
        select(_ADAPTERS.c.id).where(_ADAPTERS.c.stage == target.value, _ADAPTERS.c.active)
    )
    return found


def move(connection: Connection, target: TrainingTarget, adapter: str | None) -> None:
    """Activate an adapter of a target (None: the base alone). The old one goes first: an index allows only one."""
    old = (_ADAPTERS.c.stage == target.value) & _ADAPTERS.c.active
    connection.execute(update(_ADAPTERS).where(old).values(active=False))
    if adapter is not None:
        connection.execute(update(_ADAPTERS).where(_ADAPTERS.c.id == adapter).values(active=True))
