"""The rows of the registry that travel in a bundle: bases, adapters, and the trainings and datasets they come from.

They are copied into databases of their own, and added to those of an installation that has others already: what it has
stays as it is, and no adapter is active because it came.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Engine, RowMapping, select
from sqlmodel import SQLModel

from store.database import chunks, reading
from store.learning.adapters import deciding
from store.learning.datasets import CONSIDERED
from store.places import located
from store.rows import add, add_in_sequence, in_sequence, writing
from store.tables import AdapterMetadata, BaseModel, Blob, TrainingDataset, TrainingPlan, TrainingRun, table_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

_BASES, _ADAPTERS, _BLOBS = table_of(BaseModel), table_of(AdapterMetadata), table_of(Blob)
_TRAINED: tuple[type[SQLModel], ...] = (TrainingDataset, TrainingPlan, TrainingRun)
"""In the order of their foreign keys."""


class RegistryDatabases(NamedTuple):
    """The databases that hold the rows."""

    raw: Engine
    curated: Engine


class RegistryItem(NamedTuple):
    """A base or an adapter by its hash and name."""

    id: str
    name: str


class NewItems(NamedTuple):
    """What one registry has and another has not. `taken`: names of it that the other has given to something else, each
    with the hashes here and there."""

    bases: tuple[RegistryItem, ...]
    adapters: tuple[RegistryItem, ...]
    taken: tuple[tuple[str, str, str], ...]


def new_items(source: Engine, target: Engine) -> NewItems:
    """What the registry of `source` has beyond that of `target`. Nothing is changed."""
    with reading(source) as ours, reading(target) as theirs:
        return _new_items(ours, theirs)


def add_items(source: RegistryDatabases, target: RegistryDatabases) -> NewItems:
    """Add the rows of new bases and adapters, those of their trainings first; nothing is added if a name is taken.

    What is there stays, and no adapter becomes active. Bases and adapters whose folder is not here are left out.
    """
    with reading(source.raw) as ours, writing(target.raw) as theirs:
        _add_trainings(ours, theirs)
    with reading(source.curated) as ours, deciding(target.curated) as theirs:
        found = _new_items(ours, theirs)
        if found.taken:
            return found
        bases = {row["id"]: row for row in ours.execute(select(_BASES)).mappings()}
        adapters = {row["id"]: row for row in ours.execute(select(_ADAPTERS)).mappings()}
        for item in _here(found.bases, bases):
            add(theirs, BaseModel(**bases[item.id]))
        for item in _here(found.adapters, adapters):
            add(theirs, AdapterMetadata(**{**adapters[item.id], "active": False}))
        return NewItems(_here(found.bases, bases), _here(found.adapters, adapters), ())


def copy_items(source: RegistryDatabases, target: RegistryDatabases) -> None:
    """Copy the rows of all bases and adapters, of trainings and of datasets into new databases."""
    with reading(source.raw) as ours, writing(target.raw) as theirs:
        _add_trainings(ours, theirs)
    with reading(source.curated) as ours, writing(target.curated) as theirs:
        for row in ours.execute(select(_BASES).order_by(_BASES.c.id)).mappings():
            add(theirs, BaseModel(**row))
        for row in ours.execute(select(_ADAPTERS).order_by(_ADAPTERS.c.id)).mappings():
            add(theirs, AdapterMetadata(**{**row, "active": False}))


def _new_items(ours: "Connection", theirs: "Connection") -> NewItems:
    new, taken = list[list[RegistryItem]](), list[tuple[str, str, str]]()
    for items in (_bases, _adapters):
        known = items(theirs)
        names = {item.name: item.id for item in known}
        ids = set(names.values())
        added = [item for item in items(ours) if item.id not in ids]
        taken += [(item.name, item.id, names[item.name]) for item in added if item.name in names]
        new.append(added)
    return NewItems(tuple(new[0]), tuple(new[1]), tuple(taken))


def _bases(connection: "Connection") -> list[RegistryItem]:
    query = select(_BASES.c.id, _BASES.c.name).order_by(_BASES.c.name)
    return [RegistryItem(row.id, row.name) for row in connection.execute(query)]


def _adapters(connection: "Connection") -> list[RegistryItem]:
    query = select(_ADAPTERS.c.id, _ADAPTERS.c.stage, _ADAPTERS.c.version)
    rows = connection.execute(query.order_by(_ADAPTERS.c.stage, _ADAPTERS.c.version))
    return [RegistryItem(row.id, f"{row.stage}-v{row.version}") for row in rows]


def _here(items: Collection[RegistryItem], rows: "dict[str, RowMapping]") -> tuple[RegistryItem, ...]:
    return tuple(item for item in items if located(rows[item.id]["path"]).is_dir())


def _add_trainings(ours: "Connection", theirs: "Connection") -> None:
    """Add the rows of datasets and trainings, and the texts that they name, as far as they are not there.

    They are numbered after what is there, in the order that they have: numbers of two databases do not compare.
    """
    rows = [(table, list(_missing(ours, theirs, table))) for table in _TRAINED]
    texts = {text for _, found in rows for row in found for text in _texts(row)}
    for part in chunks(texts):
        for blob in ours.execute(select(_BLOBS).where(_BLOBS.c.sha256.in_(part)).order_by(_BLOBS.c.sha256)).mappings():
            add(theirs, Blob(**blob))
    for table, found in rows:
        insert = add_in_sequence if "sequence" in table_of(table).c else add
        for row in found:
            insert(theirs, table(**row))


def _missing(ours: "Connection", theirs: "Connection", model: type[SQLModel]) -> "Iterator[RowMapping]":
    table = table_of(model)
    [key] = table.primary_key.columns
    known = set(theirs.scalars(select(key)))
    order = in_sequence(table) if "sequence" in table.c else (key,)
    return (row for row in ours.execute(select(table).order_by(*order)).mappings() if row[key.name] not in known)


def _texts(row: "RowMapping") -> list[str]:
    config = row.get("config") or {}
    named = [row.get("content_hash"), row.get("losses_hash"), config.get(CONSIDERED)]
    return [text for text in named if isinstance(text, str)]
