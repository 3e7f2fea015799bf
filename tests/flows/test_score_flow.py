"""The teacher's opinions through flow and command: kept at once, capped, gone on with, refused without a teacher."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from models.training import TrainingTarget
from tests.support.bad_server import Fail, ScriptedServer
from tests.support.commands import invoke
from tests.support.pairs_material import Repository, World
from training.data.sources import read_pairs

GOOD, BAD = '{"reason": "All there.", "score": 9}', '{"reason": "Wrong file.", "score": 2}'


@pytest.fixture
def world(prefect_engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Four answers of the student to score."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CRA_CACHE_DIR", str(tmp_path / "cache"))
    made = World(tmp_path / "data")
    made.add(Repository("lib", instances=4))
    for number in range(4):
        made.run(f"lib-{number}", "student").scope().close()
    return made


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Callable[[ScriptedServer], None]:
    def at(server: ScriptedServer) -> None:
        here = {"url": server.url, "model": "scripted", "attempts": 1, "max_wait": 0.1, "concurrency": 1}
        priced = here | {"price": {"input": 1000.0, "output": 1000.0}}
        monkeypatch.setenv("CRA_MODELS__ENDPOINTS", json.dumps({"here": priced}))
        monkeypatch.setenv("CRA_MODELS__TEACHERS", json.dumps({"reasoning": "here", "coding": "here"}))

    return at


def test_opinions_are_kept_and_not_asked_for_again(world: World, teacher: Callable[[ScriptedServer], None]) -> None:
    from flows.score import score

    with ScriptedServer([GOOD, "what?", "what?", BAD, GOOD]) as server:
        teacher(server)
        first = score(TrainingTarget.SCOPE, limit=3)
        assert (first.scores, first.accepted, first.unread, first.open) == ((0.9, 0.2), 1, 1, 1)
        second = score(TrainingTarget.SCOPE)
        assert (second.known, second.scores, second.unread) == (2, (0.9, 0.9), 0)  # what was not read is asked again
        assert score(TrainingTarget.SCOPE).known == 4
    assert 0 < second.cost < first.cost
    assert len(read_pairs(world.raw, TrainingTarget.SCOPE).pairs) == 3


def test_a_cap_or_a_dead_teacher_stops_it_and_loses_nothing(
    world: World, teacher: Callable[[ScriptedServer], None]
) -> None:
    from flows.score import score

    with ScriptedServer([GOOD] * 4) as server:
        teacher(server)
        capped = score(TrainingTarget.SCOPE, max_cost=1.8)
        assert "1.8" in capped.stopped
        assert 0 < len(capped.scores) < 4
    with ScriptedServer([Fail(500)] * 50) as server:
        teacher(server)
        dead = score(TrainingTarget.SCOPE)
        assert (dead.known, dead.scores, dead.open) == (len(capped.scores), (), 4 - len(capped.scores))


def test_without_a_teacher_it_says_so_in_a_line(world: World, tmp_path: Path) -> None:
    failed = invoke("score-answers", "--stage", "scope", cwd=tmp_path)
    assert failed.returncode == 2
    assert "teacher" in failed.stderr
    assert "Traceback" not in failed.stderr
