"""Kept results are keys in plain JSON, in files of this user's alone; a planted one is asked again."""

import base64
import json
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect import flow, task
from prefect.results import ResultRecord

from models.errors import DatabaseError
from tasks.caching import cache_options, commit_eagerly


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def done(prefect_engine: None, tmp_path: Path) -> Callable[[], int]:
    """Run a kept task; how often it has really run."""
    runs: list[int] = []

    @task(persist_result=True, result_serializer="json")
    def once() -> str:
        runs.append(1)
        return "key"

    @flow(persist_result=False)
    def asked() -> str:
        with commit_eagerly():
            return once.with_options(**cache_options("k", tmp_path))()

    def run() -> int:
        assert asked() == "key"
        return len(runs)

    return run


def test_what_is_kept_is_found_again_and_private(done: Callable[[], int], tmp_path: Path) -> None:
    assert (done(), done()) == (1, 1)
    found = list((tmp_path / "engine").rglob("*"))
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_dir()} == {0o700}
    assert {json.loads(path.read_text()) for path in (tmp_path / "engine" / "results").iterdir()} == {"key"}


@pytest.mark.parametrize("serializer", [{"type": "pickle"}, None, "popen"])
def test_a_planted_result_is_not_read(done: Callable[[], int], tmp_path: Path, serializer: object) -> None:
    done()
    [keys], [results] = (list((tmp_path / "engine" / name).iterdir()) for name in ("keys", "results"))
    noted = json.loads(keys.read_text())
    mark = tmp_path / "mark"
    results.write_bytes(base64.encodebytes(pickle.dumps(Bomb(mark))))
    if serializer == "popen":
        noted["serializer"]["object_decoder"] = "subprocess.Popen"
        results.write_text(json.dumps({"mkdir": 1, str(mark): 2}))
    elif serializer:
        noted["serializer"] = serializer
    else:
        del noted["serializer"]
    keys.write_text(json.dumps(noted))
    assert (done(), mark.exists()) == (2, False)


def test_no_pickle_of_the_engines_is_read_from_anywhere(tmp_path: Path) -> None:
    text = base64.encodebytes(pickle.dumps(Bomb(tmp_path / "mark"))).decode()
    for noted in ({"serializer": {"type": "pickle"}}, {}):
        with pytest.raises(DatabaseError):
            ResultRecord.deserialize(json.dumps({"metadata": noted, "result": text}).encode())
    assert not (tmp_path / "mark").exists()
