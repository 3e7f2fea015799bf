"""Which dataset rows look like, by their columns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.data.sources.open_datasets.catalogue import DATASETS, OpenDataset
from training.data.sources.open_datasets.schema import Schema


@dataclass(frozen=True)
class Likeness:
    """How rows compare with a dataset's schema: how many fit, how many of its columns they have, how the others differ
    (each fault with the number of rows), and their columns that the schema has not."""

    dataset: OpenDataset
    rows: int
    fitting: int
    columns: int
    faults: dict[str, int]
    unknown: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether at least one row fits."""
        return self.fitting > 0


def likenesses(rows: Sequence[Mapping[str, Any]]) -> list[Likeness]:
    """All datasets, each with its schema that the rows fit best, the likest first."""
    return sorted((likeness(dataset, rows) for dataset in DATASETS.values()), key=_rank, reverse=True)


def likeness(dataset: OpenDataset, rows: Sequence[Mapping[str, Any]]) -> Likeness:
    """How rows compare with one dataset."""
    return max((_likeness(dataset, schema, rows) for schema in dataset.schemas), key=_rank)


def _likeness(dataset: OpenDataset, schema: Schema, rows: Sequence[Mapping[str, Any]]) -> Likeness:
    faults: Counter[str] = Counter()
    fitting = 0
    for row in rows:
        found = schema.faults(row)
        fitting += not found
        faults.update(fault.summary for fault in found)
    names = {str(name) for row in rows for name in row}
    known = {column.name for column in schema.columns}
    return Likeness(
        dataset, len(rows), fitting, len(names & known), dict(faults.most_common()), tuple(sorted(names - known))
    )


def _rank(one: Likeness) -> tuple[int, int, int]:
    return one.fitting, one.columns - len(one.faults), -len(one.unknown)
