"""A round that is stopped goes on after its last finished step, and only as it was begun."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from models.errors import DatabaseError, GuardrailError, UsageError
from models.training import TrainingTarget
from store.database import open_database
from training.cycle.rounds import CAMPAIGN, CURATE, END, Round, RoundRequest, abandon, continue_or_begin, past_rounds


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(tmp_path / "raw.sqlite", "raw")


def request(*repositories: str) -> RoundRequest:
    return RoundRequest(
        packages=tuple(f"corpus/{name}" for name in repositories),
        repositories=repositories,
        targets=(TrainingTarget.SCOPE,),
        base="smollm2",
        settings={"samples": 1},
    )


def begin(engine: Engine, wanted: RoundRequest) -> Round:
    return continue_or_begin(engine, wanted, lambda _: None)


def test_a_finished_step_is_not_done_again(engine: Engine) -> None:
    done: list[str] = []

    def do() -> dict[str, str]:
        done.append("campaign")
        return {"name": "improve-1"}

    assert begin(engine, request("a")).step(CAMPAIGN, None, do) == {"name": "improve-1"}
    again = begin(engine, request("a"))
    assert again.number == 1
    assert again.step(CAMPAIGN, None, do) == {"name": "improve-1"}
    assert done == ["campaign"]


def test_a_step_that_failed_is_done_again(engine: Engine) -> None:
    def fail() -> dict[str, str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(engine, request("a")).step(CURATE, TrainingTarget.SCOPE, fail)
    assert begin(engine, request("a")).finished(CURATE, TrainingTarget.SCOPE) is None


def test_steps_of_targets_are_told_apart(engine: Engine) -> None:
    round_ = begin(engine, request("a"))
    round_.finish(CURATE, TrainingTarget.SCOPE, {"dataset": "d1"})
    assert round_.finished(CURATE, TrainingTarget.CODE) is None
    assert round_.finished(CURATE, TrainingTarget.SCOPE) == {"dataset": "d1"}


def test_an_open_round_is_not_mistaken_for_another(engine: Engine) -> None:
    begin(engine, request("a"))
    with pytest.raises(UsageError, match="round 1 is not finished and was begun with other packages, repositories"):
        begin(engine, request("b"))
    assert abandon(engine) == 1
    assert begin(engine, request("b")).number == 2
    assert past_rounds(engine) == [("a",), ("b",)]


def test_an_ended_round_is_followed_by_a_new_one(engine: Engine) -> None:
    first = begin(engine, request("a"))
    first.finish(END, None, {"promoted": []})
    assert begin(engine, request("a")).number == 2


def test_a_refused_round_leaves_nothing(engine: Engine) -> None:
    def refuse(rounds: list[tuple[str, ...]]) -> None:
        assert rounds == [("a",)]
        raise GuardrailError("fresh-repositories", "no")

    with pytest.raises(GuardrailError):
        continue_or_begin(engine, request("a"), refuse)
    assert past_rounds(engine) == []


def test_a_step_has_one_result(engine: Engine) -> None:
    round_ = begin(engine, request("a"))
    round_.finish(CAMPAIGN, None, {"name": "x"})
    with pytest.raises(DatabaseError):
        round_.finish(CAMPAIGN, None, {"name": "y"})


def test_nothing_is_abandoned_where_nothing_is_open(engine: Engine) -> None:
    assert abandon(engine) is None
