"""A copy of the raw database without the tasks of `cra solve`: nothing of theirs is left, and all the rest is."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from models.manifest import MiningFunnel
from models.outcomes import OutcomeKind
from models.protocols import Answer, Request, Stage, Task
from store.database import reading
from store.runs import RawStore, open_raw_store
from store.snapshots import snapshot_sqlite
from store.solved_tasks import count_tasks
from store.texts import read_texts
from tests.support.store_material import make_manifest, open_one, record_all

SECRET = "Replace the vault's password by hunter2"
ANSWER = "the vault of ours"


def _solve(store: RawStore) -> str:
    """A task of a person, with an answer that is replayed, about a repository that nothing else is about."""
    nothing = MiningFunnel(total=0, dropped={}, needs_message=0, kept=0, mixed=0)
    manifest = make_manifest(1, name="mine", source="/home/me/mine", funnel=nothing)
    files: dict[str, object] = {"production_files": (), "test_files": (), "fail_to_pass": ()}
    own = manifest.instances[0].model_copy(update={"task": SECRET, "instance_id": "mine-1", **files})
    [instance] = store.register_package(manifest.model_copy(update={"instances": (own,)})).values()
    store.register_package(manifest.model_copy(update={"instances": (own,), "source": "/home/me/moved"}))
    never = own.model_copy(update={"task": f"{SECRET} at once"})  # the endpoint was away before its attempt began
    store.register_package(manifest.model_copy(update={"instances": (never,)}))
    campaign = store.register_campaign({"kind": "solve", "repository": "mine"})
    store.start_run(campaign, "solve-mine", "k", [Path("/home/me/mine")])
    key = store.open_trajectory(campaign, instance, "student", "student v1")
    assert store.begin_attempt(key) == 1
    recorder = store.recorder(key, 1)
    record_all(recorder, Task(text=SECRET, repository="mine", base="b" * 40))
    request = Request(stage=Stage.META_PLAN, task=Task(text=SECRET, repository="mine", base="b" * 40))
    recorder.call(request, Answer(text=ANSWER, model="m", reasoning=SECRET, latency=0.5))
    recorder.flush()
    store.close_trajectory(key, 1, OutcomeKind.UNTESTED, patch=f"+{SECRET}", detail="no test was run")
    killed = Answer(text="said", prompt=f"private: {SECRET}", model="m", endpoint="e")  # before its call was stored
    store.keep_answer(store.answer_slot("of a killed attempt"), Stage.META_PLAN, killed)
    return key


@pytest.fixture
def stores(tmp_path: Path) -> tuple[RawStore, str]:
    """A store with an attempt of a campaign, and with a task of a person."""
    store = open_raw_store(str(tmp_path / "raw.sqlite"))
    key = open_one(store)
    assert store.begin_attempt(key) == 1
    record_all(store.recorder(key, 1))
    store.close_trajectory(key, 1, OutcomeKind.PASSED, patch="diff")
    _solve(store)
    return store, key


def _content(file: Path) -> tuple[dict[str, int], bytes]:
    """The number of rows of each table, and all texts."""
    with contextlib.closing(sqlite3.connect(file)) as opened:
        assert opened.execute("PRAGMA foreign_key_check").fetchall() == []
        names = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: opened.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
        hashes = [sha for (sha,) in opened.execute("SELECT sha256 FROM blobs")]
    with reading(open_raw_store(str(file)).engine) as connection:
        texts = "".join(read_texts(connection, hashes).values())
    return counts, texts.encode() + file.read_bytes()


def test_a_copy_without_tasks_holds_none_of_their_texts_and_all_of_the_rest(
    stores: tuple[RawStore, str], tmp_path: Path
) -> None:
    store, key = stores
    assert count_tasks(store.engine) == 1
    only = tmp_path / "only" / "raw.sqlite"
    alone = open_raw_store(str(only))
    other = open_one(alone)
    assert alone.begin_attempt(other) == 1
    record_all(alone.recorder(other, 1))
    alone.close_trajectory(other, 1, OutcomeKind.PASSED, patch="diff")
    copies = [tmp_path / name for name in ("whole.sqlite", "without.sqlite", "alone.sqlite")]
    snapshot_sqlite(tmp_path / "raw.sqlite", copies[0], tmp_path)
    snapshot_sqlite(tmp_path / "raw.sqlite", copies[1], tmp_path, without_tasks=True)
    snapshot_sqlite(only, copies[2], tmp_path)
    counts, texts = zip(*map(_content, copies), strict=True)
    assert [SECRET.encode() in text for text in texts] == [True, False, False]
    assert ANSWER.encode() in texts[0]
    assert ANSWER.encode() not in texts[1]
    assert b"/home/me" not in texts[1]
    assert counts[1] == counts[2]
    there = open_raw_store(str(copies[1]))
    assert count_tasks(there.engine) == 0
    assert there.trace(key).events == store.trace(key).events
    with contextlib.closing(sqlite3.connect(copies[1])) as opened, pytest.raises(sqlite3.DatabaseError):
        opened.execute("DELETE FROM outcomes")
