"""A campaign's patches as predictions, and the evidence behind them, read alike from both databases."""

import json
from pathlib import Path

import pytest

from exchange.model_patches import export_predictions
from exchange.predictions import read_predictions
from models.errors import UsageError
from store.runs import open_raw_store
from tests.support.exported_campaign import NAME, PATCH, fill


def test_closed_trajectories_are_predictions_and_each_condition_a_model(database_target: str) -> None:
    store = open_raw_store(database_target)
    fill(store)
    read = read_predictions(export_predictions(store, NAME))
    assert [(each.instance_id, each.model_name_or_path, each.model_patch) for each in read] == [
        ("lib-0", "student-t0-s0", PATCH),
        ("lib-0", "student-t0.5-s1", PATCH),
        ("lib-1", "student-t0-s0", PATCH),
    ]


def test_evidence_is_read_alike_from_both_databases(database_target: str) -> None:
    store = open_raw_store(database_target)
    keys = fill(store)
    before = store.content_key(NAME)
    groups = store.export_groups(NAME)
    assert [(group.planner, group.total, group.begun, group.closed) for group in groups] == [
        ("null", 1, 0, 0),
        ("student", 4, 4, 3),
    ]
    assert groups[1].conditions == ((0.0, 0), (0.5, 1))
    found = list(store.exported(groups[1]))
    assert [(each.label, each.trace.id) for each in found] == [
        ("lib-0", keys["passed"]), ("lib-0", keys["warm"]), ("lib-1", keys["failed"]), ("lib-1", keys["broken"]),
    ]  # fmt: skip
    assert [len(each.reports) for each in found] == [2, 2, 2, 2]
    assert store.content_key(NAME) == before
    store.begin_attempt(keys["waiting"])
    assert store.content_key(NAME) != before


def test_a_label_never_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        list(export_predictions(open_raw_store(tmp_path / "raw.db"), "absent"))


def test_lines_are_ascii_json(tmp_path: Path) -> None:
    store = open_raw_store(tmp_path / "raw.db")
    fill(store)
    for line in export_predictions(store, NAME):
        assert set(json.loads(line)) == {"instance_id", "model_patch", "model_name_or_path"}
        assert line.isascii()
        assert "\n" not in line
