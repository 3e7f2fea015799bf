"""Copies of databases for another machine: one state, the same bytes for the same rows, paths that hold there."""

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from models.errors import DatabaseError
from models.training import TrainingTarget
from store.database import open_database
from store.learning.datasets import add_dataset
from store.learning.trainings import FinishedTraining, find_training, store_training, store_training_job
from store.leases import take
from store.places import IN_DATA_DIR, located
from store.runs import open_raw_store
from store.runs.packages import package_paths
from store.snapshots import snapshot_sqlite


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory whose raw database knows one training inside and one outside of it, and holds a lease."""
    data = tmp_path / "data"
    engine = open_database(data / "raw.sqlite", "raw")
    add_dataset(
        engine,
        "d" * 64,
        TrainingTarget.SCOPE,
        source="gold",
        examples=1,
        config={},
        repositories=["r"],
        content="{}",
        considered="{}",
    )
    for job, place in (("in", data / "trainings" / "in" / "adapter"), ("out", tmp_path / "elsewhere")):
        store_training_job(engine, job, TrainingTarget.SCOPE, "gold", "b" * 64, "d" * 64, {})
        store_training(engine, FinishedTraining(job, "a" * 64, place, "trl-cpu", 1, 2, 3.0, {}), "{}\n")
    with engine.begin() as connection:
        assert take(connection, ["one"]) == {"one"}
    return data


def test_paths_below_the_data_directory_hold_on_the_other_machine(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.sqlite"
    snapshot_sqlite(data / "raw.sqlite", copy, data)
    assert str(data).encode() not in copy.read_bytes()
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path / "there"))
    there = open_database(copy, "raw")
    inside, outside = find_training(there, "in"), find_training(there, "out")
    assert inside is not None
    assert outside is not None
    assert inside.path == tmp_path / "there" / "trainings" / "in" / "adapter"
    assert outside.path == tmp_path / "elsewhere"
    with there.begin() as connection:
        assert take(connection, ["one"]) == {"one"}
    original = find_training(open_database(data / "raw.sqlite", "raw"), "in")
    assert original is not None
    assert original.path == data / "trainings" / "in" / "adapter"


@pytest.mark.parametrize("path", ["../outside", "bases/../../outside", "/etc", "/../etc"])
def test_a_path_that_leaves_the_data_directory_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRA_DATA_DIR", "/there")
    with pytest.raises(DatabaseError, match="leaves the data directory"):
        located(f"{IN_DATA_DIR}{path}")
    assert located(f"{IN_DATA_DIR}bases/x..y") == Path("/there/bases/x..y")


def test_the_packages_of_campaigns_are_found_on_the_other_machine_wherever_the_corpus_lay(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, corpus = open_raw_store(str(data / "raw.sqlite")), tmp_path / "library"
    campaign = store.register_campaign({"planners": ["gold"]})
    store.start_run(campaign, "first", "f", [corpus / "a", data / "corpus" / "b", tmp_path / "elsewhere" / "c"])
    snapshot_sqlite(data / "raw.sqlite", tmp_path / "copy.sqlite", data, corpus)
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path / "there"))
    there = open_raw_store(str(tmp_path / "copy.sqlite"))
    held = tmp_path / "there" / "corpus"
    wanted = [held / "a", held / "b", tmp_path / "elsewhere" / "c"]
    assert there.package_directories("first") == wanted
    assert there.known_package_directories() == wanted
    assert package_paths(there.engine) == [str(each) for each in wanted]
    assert store.package_directories("first")[0] == corpus / "a"


def test_the_same_rows_give_the_same_bytes_and_evidence_stays_append_only(data: Path, tmp_path: Path) -> None:
    copies = [tmp_path / name for name in ("one.sqlite", "two.sqlite")]
    for copy in copies:
        snapshot_sqlite(data / "raw.sqlite", copy, data)
    assert copies[0].read_bytes() == copies[1].read_bytes()
    assert copies[0].stat().st_mode & 0o077 == 0
    with contextlib.closing(sqlite3.connect(copies[0])) as opened, pytest.raises(sqlite3.DatabaseError):
        opened.execute("UPDATE training_runs SET steps = 9")


def test_a_copy_that_is_made_while_others_write_is_one_state(data: Path, tmp_path: Path) -> None:
    engine, stop = open_database(data / "raw.sqlite", "raw"), threading.Event()
    written: list[str] = []

    def write() -> None:
        while not stop.is_set():
            job = f"more-{len(written)}"
            store_training_job(engine, job, TrainingTarget.SCOPE, "gold", "b" * 64, "d" * 64, {})
            place = data / "trainings" / job
            store_training(engine, FinishedTraining(job, "a" * 64, place, "trl-cpu", 1, 2, 3.0, {}), "{}\n")
            written.append(job)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(5):
            before = len(written)
            snapshot_sqlite(data / "raw.sqlite", tmp_path / f"{n}.sqlite", data)
            with contextlib.closing(sqlite3.connect(tmp_path / f"{n}.sqlite")) as opened:
                assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                assert opened.execute("PRAGMA foreign_key_check").fetchall() == []
                found = {job for (job,) in opened.execute("SELECT plan_id FROM training_runs")}
            assert set(written[:before]) <= found
    finally:
        stop.set()
        writer.join()
