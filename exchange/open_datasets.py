"""Arrival of public datasets: files read row by row, looked at or made into a collection of examples."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from exchange.parquet_rows import LongRow
from exchange.rows import Row
from exchange.spellings import BadField, normalised
from exchange.streaming import data_files, stream_rows
from exchange.swebench import instance_of
from models.edits import EditFormat
from models.errors import UsageError
from models.training import Pair, PairSource
from training.data.sources.collections import CollectionCard, Dropped, Offered, write_collection
from training.data.sources.open_datasets.catalogue import OpenDataset, find_dataset
from training.data.sources.open_datasets.reading import MISFIT, DatasetReader
from training.data.sources.open_datasets.recognition import Likeness, likeness, likenesses

LONG = "row too long"
_LOOKED_AT = 100
"""Rows by which a dataset is recognised."""
_SHOWN_EVERY = 20_000


class PlacedRow(NamedTuple):
    """A row and where it is: file and line or row, in printable characters."""

    place: str
    row: Row


def import_dataset(
    data_dir: Path,
    name: str,
    place: Path,
    *,
    limit: int | None,
    accepted: bool,
    edit_format: EditFormat,
    show: Callable[[str], None] = lambda progress: None,
) -> tuple[Path, CollectionCard]:
    """Make a collection of the rows of a dataset that are kept, at most `limit` of them; its folder and card.

    `accepted`: a person accepts the dataset's licence. `show` is told now and then how far the import is. Raises
    UsageError for a licence that was not accepted, for SWE-bench, and for files that are not of this dataset;
    TrainingError if no row is kept.
    """
    dataset = find_dataset(name)
    files = data_files(place)
    if dataset.source is PairSource.SWE_BENCH:
        raise UsageError(
            f"{name}: its rows have no files, only patches, and its instances are for evaluation; read them with "
            f"`cra import {files[0]}`, and train on their repositories with `cra prepare`"
        )
    if dataset.needs_acceptance is not None and not accepted:
        raise UsageError(
            f"{name}: {dataset.publisher} {dataset.needs_acceptance}; read its terms (docs/datasets.md) and say "
            "--accept-licence if they allow your use"
        )
    hashes: dict[str, str] = {}
    made_from: dict[str, Any] = {
        "dataset": dataset.publisher,
        "license": dataset.license or "none named",
        "accepted_license": (dataset.license or "none named") if dataset.needs_acceptance else None,
        "edit_format": edit_format.value,
        "limit": limit,
        "files": hashes,  # filled as files are opened: those beyond the limit are not read
    }
    rows = _rows(place, files, hashes)
    offers = _offers(DatasetReader(dataset, edit_format), rows, limit, show)
    return write_collection(data_dir, dataset.source, made_from, offers, dataset.terms)


def _offers(
    reader: DatasetReader, rows: Iterator[PlacedRow], limit: int | None, show: Callable[[str], None]
) -> Iterator[list[Offered]]:
    kept = 0
    for number, placed in enumerate(rows, 1):
        found = _read(reader, placed)
        kept += isinstance(found, Pair)
        yield [found]
        if kept == limit:
            return
        if number % _SHOWN_EVERY == 0:
            show(f"{number:,} rows, {kept:,} kept")
    reader.finish()


def _rows(place: Path, files: list[Path], hashes: dict[str, str] | None = None) -> Iterator[PlacedRow]:
    for file in files:
        name = _name(file, place)
        if hashes is not None:
            hashes[name] = _digest(file)
        for row in stream_rows(file):
            yield PlacedRow(f"{name} {row.place}", row)


def _name(file: Path, place: Path) -> str:
    name = file.name if file == place else file.relative_to(place).as_posix()
    return name.encode(errors="backslashreplace").decode()


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror})") from error


def _read(reader: DatasetReader, placed: PlacedRow) -> Pair | Dropped:
    row = placed.row
    if isinstance(row, LongRow):
        return Dropped(LONG, placed.place)
    return reader.read(placed.place, row.value, row.fault.removeprefix(row.place).lstrip(": "))


@dataclass
class Inspection:
    """What the first rows of a dataset's files are, and what an import would make of them.

    `alike` compares them with each dataset, the likest first; `dataset` is the one whose import is shown (None: they
    look like none). `stopped` is the message with which an import would stop.
    """

    files: int
    alike: list[Likeness]
    dataset: OpenDataset | None
    rows: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    stopped: str = ""


def inspect_dataset(place: Path, name: str | None, limit: int, edit_format: EditFormat) -> Inspection:
    """Look at the first `limit` rows of files as rows of a dataset (None: of the one that they look like).

    Raises UsageError for files that cannot be read.
    """
    wanted = None if name is None else find_dataset(name)
    files = data_files(place)
    rows = islice(_rows(place, files), limit)
    first = list(islice(rows, min(limit, _LOOKED_AT)))
    values = [_as_known(placed.row) for placed in first if placed.row.value is not None]
    alike = likenesses(values) if wanted is None else [likeness(wanted, values)]
    dataset = wanted or (alike[0].dataset if alike[0].fits else None)
    found = Inspection(len(files), alike, dataset)
    if dataset is None:
        found.rows = len(first)
        return found
    reader = DatasetReader(dataset, edit_format)
    try:
        for placed in chain(first, rows):
            found.rows += 1
            _count(found, _instance(placed) if dataset.source is PairSource.SWE_BENCH else _read(reader, placed))
        reader.finish()
    except UsageError as error:
        found.stopped = str(error)
    return found


def _count(found: Inspection, item: Pair | Dropped | None) -> None:
    if isinstance(item, Dropped):
        found.dropped[item.reason] += 1
        found.examples.setdefault(item.reason, item.example)
    else:
        found.kept += 1


def _instance(placed: PlacedRow) -> Dropped | None:
    """None for a row that is an instance of SWE-bench, in any spelling."""
    try:
        instance_of(placed.row)
    except UsageError as error:
        return Dropped(MISFIT, f"{placed.place}: {error}")
    return None


def _as_known(row: Row) -> dict[str, Any]:
    """A row with the fields of SWE-bench under their usual names, if it is one of its relatives."""
    values = row.value or {}
    try:
        known = normalised(values)
    except BadField:
        return values
    return known if {"repo", "base_commit", "patch"} <= known.keys() else values
