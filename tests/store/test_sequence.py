"""The order of datasets, trainings and frozen sets: that in which they were stored, whatever the clock said."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, text

from models.training import TrainingTarget
from store.database import alembic_config, open_database
from store.learning.datasets import (
    add_dataset,
    finished_datasets,
    newest_dataset_id,
    superseded_datasets,
    trained_before,
    trained_datasets,
)
from store.learning.registry_rows import RegistryDatabases, add_items, copy_items
from store.learning.trainings import FinishedTraining, store_training, store_training_job, superseded_trainings
from store.tables import TrainingDataset, TrainingPlan
from store.texts import sha256

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
NAMES = [letter * 64 for letter in "cab"]


@pytest.fixture
def raw(database_target: str) -> Engine:
    return open_database(database_target, "raw")


def at(when: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the clock by which rows get their times."""
    for table in (TrainingDataset, TrainingPlan):
        monkeypatch.setattr(table.model_fields["created_at"], "default_factory", lambda: when)
        table.model_rebuild(force=True)


def store(raw: Engine, name: str) -> None:
    config: dict[str, Any] = {"base": "b", "considered": sha256(name)}
    add_dataset(
        raw, name, TrainingTarget.SCOPE, source="gold", examples=1, config=config, repositories=["lib"], content=name,
        considered=name,
    )  # fmt: skip


def train(raw: Engine, dataset: str, finished: bool = True) -> str:
    job = f"job of {dataset[0]}"
    store_training_job(raw, job, TrainingTarget.SCOPE, "gold", "b", dataset, {})
    if finished:
        store_training(raw, FinishedTraining(job, "r", Path("x"), "cpu", 1, 1, 1.0, {}), "")
    return job


def test_a_clock_that_goes_back_changes_no_order(raw: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = []
    for years, name in enumerate(NAMES):
        at(NOW - timedelta(days=365 * years), monkeypatch)
        store(raw, name)
        jobs.append(train(raw, name, finished=name != NAMES[0]))
    assert newest_dataset_id(raw, TrainingTarget.SCOPE) == NAMES[2]
    store(raw, NAMES[0])  # it is there already: that makes it no newer
    assert newest_dataset_id(raw, TrainingTarget.SCOPE) == NAMES[2]
    assert trained_before(raw, NAMES[2], TrainingTarget.SCOPE, "b") == sorted(NAMES[:2])
    assert trained_before(raw, NAMES[0], TrainingTarget.SCOPE, "b") == []
    assert superseded_datasets(raw) == set(NAMES[:2])
    assert superseded_trainings(raw) == {jobs[0]}
    assert finished_datasets(raw) == {NAMES[1]}
    assert list(trained_datasets(raw, TrainingTarget.SCOPE)) == NAMES


def test_rows_of_the_version_before_are_numbered_by_their_times(tmp_path: Path) -> None:
    file = tmp_path / "raw.sqlite"
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config = alembic_config("raw")
        config.attributes["connection"] = connection
        command.upgrade(config, "raw_0010")
        connection.execute(text("INSERT INTO blobs VALUES ('x', 'raw', 0, x'')"))
        for days, name in enumerate(NAMES):
            connection.execute(
                text("INSERT INTO training_datasets VALUES (:id, 'scope', 'gold', 1, '{}', 'x', :at)"),
                {"id": name, "at": f"{NOW - timedelta(days=days):%Y-%m-%d %H:%M:%S.%f}"},
            )
    engine.dispose()
    raw = open_database(file, "raw")
    assert newest_dataset_id(raw, TrainingTarget.SCOPE) == NAMES[0]
    store(raw, "d" * 64)
    with raw.connect() as connection:
        rows = connection.execute(text("SELECT id, sequence FROM training_datasets ORDER BY sequence")).all()
    assert [row.id for row in rows] == [*reversed(NAMES), "d" * 64]
    assert [row.sequence for row in rows] == [1, 2, 3, 4]


def test_rows_that_come_in_a_bundle_are_stored_after_those_that_are_there(raw: Engine, tmp_path: Path) -> None:
    """Their numbers are another database's: a dataset that was trained on here has no other one before it."""
    other = open_database(tmp_path / "other.sqlite", "raw")
    for name in NAMES[:2]:
        store(other, name)
        train(other, name)
    curated = [open_database(tmp_path / f"curated-{n}.sqlite", "curated") for n in (1, 2)]
    for name in ("d" * 64, "e" * 64):
        store(raw, name)
        train(raw, name)
    add_items(RegistryDatabases(other, curated[0]), RegistryDatabases(raw, curated[1]))
    assert list(trained_datasets(raw, TrainingTarget.SCOPE)) == ["d" * 64, "e" * 64, *NAMES[:2]]
    assert trained_before(raw, "e" * 64, TrainingTarget.SCOPE, "b") == ["d" * 64]
    copy = open_database(tmp_path / "copy.sqlite", "raw")
    copy_items(RegistryDatabases(raw, curated[1]), RegistryDatabases(copy, open_database(tmp_path / "c", "curated")))
    assert list(trained_datasets(copy, TrainingTarget.SCOPE)) == ["d" * 64, "e" * 64, *NAMES[:2]]
