"""Public datasets in their true schemas: what is kept of them, what is not and why, and what stops an import."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exchange.open_datasets import import_dataset, inspect_dataset
from models.edits import EditFormat
from models.errors import TrainingError, UsageError
from models.training import Pair
from tests.support import dataset_rows
from tests.support.commands import invoke as cra
from tests.support.dataset_rows import ANSWER, CODE, MAKERS, Row, write_rows
from training.data.sources.collections import CollectionCard, read_collection
from training.data.sources.open_datasets.catalogue import DATASETS
from training.data.sources.open_datasets.reading import MISFIT

MAKERS_OF_EXAMPLES = {name: make for name, make in MAKERS.items() if name != "swe-bench"}
FORMATS = ("rows.parquet", "rows.jsonl", "rows.json", "rows.jsonl.gz", "rows.json.gz")


def imported(tmp_path: Path, name: str, rows: list[Row], file: str = "rows.jsonl", **options: Any) -> CollectionCard:
    path = write_rows(tmp_path / "in" / file, rows)
    asked = {"limit": None, "accepted": True, "edit_format": EditFormat.SEARCH_REPLACE} | options
    return import_dataset(tmp_path / "data", name, path, **asked)[1]


def pairs(tmp_path: Path, name: str, rows: list[Row], **options: Any) -> list[Pair]:
    card = imported(tmp_path, name, rows, **options)
    (folder,) = (tmp_path / "data" / "collections").glob(f"*-{card.id[:12]}")
    return [row for row in read_collection(folder) if isinstance(row, Pair)]


@pytest.mark.parametrize("name", MAKERS_OF_EXAMPLES)
@pytest.mark.parametrize("file", FORMATS)
def test_each_dataset_is_read_from_each_format(tmp_path: Path, name: str, file: str) -> None:
    card = imported(tmp_path, name, [MAKERS[name](number) for number in range(5)], file)
    assert (card.offered, card.pairs, card.dropped, card.source) == (5, 5, {}, name)
    assert card.made_from["dataset"] == DATASETS[name].publisher
    assert card.terms == DATASETS[name].terms


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("file", FORMATS[:3])
def test_a_file_is_recognised_by_its_columns(tmp_path: Path, name: str, file: str) -> None:
    path = write_rows(tmp_path / file, [MAKERS[name](number) for number in range(3)])
    found = inspect_dataset(path, None, 1000, EditFormat.SEARCH_REPLACE)
    assert found.dataset is not None
    assert (found.dataset.source, found.rows, found.kept, found.dropped) == (name, 3, 3, {})
    assert (found.alike[0].fitting, found.alike[0].faults) == (3, {})
