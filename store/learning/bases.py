"""Frozen bases: their names, directories and metadata."""

from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, Row, insert, select

from models.errors import UsageError
from store.database import reading
from store.places import located
from store.rows import writing
from store.tables import BaseModel, table_of

_BASES = table_of(BaseModel)


class Base(NamedTuple):
    """A frozen base: its id (hash), name, directory, role (None: any), version if tuned here, and metadata:
    architecture, parameters, vocabulary, eos, pad, chat_template (hash), dtype, source (hash of the GGUF or "")."""

    id: str
    name: str
    path: Path
    role: str | None
    version: int | None
    facts: dict[str, Any]


def list_bases(curated: Engine) -> list[Base]:
    """All bases, oldest first."""
    with reading(curated) as connection:
        rows = connection.execute(select(_BASES)).all()
    return [_base(row) for row in sorted(rows, key=lambda row: (row.created_at, row.name))]


def record_base(curated: Engine, base: Base) -> Base:
    """Store a base and return it as stored. If its files are stored under that name, or were tuned before for that
    role, nothing changes. Raises UsageError if the name is taken, or the files have another name."""
    row = BaseModel(**base._asdict() | {"path": str(base.path)}, tuned=base.version is not None)
    with writing(curated) as connection:
        known = connection.execute(select(_BASES).where(_BASES.c.id == base.id)).one_or_none()
        if known is not None and known.tuned and row.tuned and known.role == base.role:
            return _base(known)
        named = connection.execute(select(_BASES).where(_BASES.c.name == base.name)).one_or_none()
        if named is not None and named.id != base.id:
            raise UsageError(f"the name {base.name} is taken by base {named.id[:12]}; choose another")
        if known is not None and known.name != base.name:
            raise UsageError(f"these weights are already registered as base {known.name}; use that name")
        if known is None:
            connection.execute(insert(_BASES).values(row.model_dump()))
    return base if known is None else _base(known)


def _base(row: Row[Any]) -> Base:
    return Base(row.id, row.name, located(row.path), row.role, row.version, dict(row.facts))
