"""Schemas of rows: the columns that a dataset has, with their types, and how a row differs from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from models.errors import CleanRoomError
from models.training import Pair
from training.data.sources.collections import Dropped
from training.data.sources.open_datasets.conversion import Conversion

_SHOWN = 60


class Kind(StrEnum):
    """The type of a column."""

    TEXT = "text"
    INTEGER = "integer"
    TEXTS = "list of texts"
    OBJECT = "object"


_TYPES: dict[Kind, type] = {Kind.TEXT: str, Kind.INTEGER: int, Kind.TEXTS: list, Kind.OBJECT: dict}


class Misfit(CleanRoomError):
    """A row that does not fit its schema: the field, what is wrong with it, and its value, shortened."""

    def __init__(self, field: str, problem: str, value: object = None) -> None:
        shown = "" if value is None else f": {shortened(value)}"
        self.summary = f"field {field}: {problem}"
        super().__init__(self.summary + shown)


@dataclass(frozen=True)
class Column:
    """A column; one that is not required may be absent or null."""

    name: str
    kind: Kind = Kind.TEXT
    required: bool = True

    def fault(self, row: Mapping[str, Any]) -> Misfit | None:
        """How a row differs from this column, or None."""
        value = row.get(self.name)
        if value is None:
            absent = "is null" if self.name in row else "is absent"
            return Misfit(self.name, absent) if self.required else None
        fits = isinstance(value, _TYPES[self.kind]) and not isinstance(value, bool)
        if fits and self.kind is Kind.TEXTS:
            fits = all(isinstance(each, str) for each in value)
        return None if fits else Misfit(self.name, f"is no {self.kind} but a {type(value).__name__}", value)


Convert = Callable[[Mapping[str, Any], Conversion], Pair | Dropped]


@dataclass(frozen=True)
class Schema:
    """A form in which a dataset is published. `prose` and `code` are the columns that are confused most easily."""

    columns: tuple[Column, ...]
    prose: str
    code: str
    convert: Convert

    def faults(self, row: Mapping[str, Any]) -> list[Misfit]:
        """How a row differs from the schema."""
        return [fault for column in self.columns if (fault := column.fault(row)) is not None]


def texts(*names: str, required: bool = True) -> tuple[Column, ...]:
    """Columns of text."""
    return tuple(Column(name, required=required) for name in names)


def shortened(value: object) -> str:
    """A value in one short line of ASCII."""
    shown = ascii(value)[: _SHOWN + 1]
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
