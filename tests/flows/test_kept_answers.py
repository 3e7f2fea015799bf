"""Answers that cannot be stored at first: the question is not paid for twice, and nobody waits for it for ever."""

from pathlib import Path

import pytest
from prefect import flow
from sqlalchemy import text

from models.errors import DatabaseError
from models.protocols import Answer, Stage
from store.database import open_database
from store.runs import RawStore
from store.runs.answers import AnswerSlot
from tasks.executor import TaskExecutor

ANSWER = Answer(text="yes", model="m", endpoint="e", prompt_tokens=3, completion_tokens=2, cost=0.5)


class Unsteady(RawStore):
    """A store whose database is away at the first `failures` times that an answer is kept."""

    failures = 0

    def keep_answer(self, slot: AnswerSlot, stage: Stage, answer: Answer) -> str:
        if self.failures:
            self.failures -= 1
            raise DatabaseError("the server closed the connection")
        return super().keep_answer(slot, stage, answer)


@pytest.mark.parametrize("failures", [1, 3])
def test_an_answer_that_could_not_be_stored(
    prefect_engine: None, database_target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    monkeypatch.setattr("tasks.define.RETRY_DELAYS", [0.01, 0.01])
    store = Unsteady(open_database(database_target, "raw"))
    store.failures = failures
    executor, paid = TaskExecutor(store, tmp_path / "cache"), list[Answer]()

    def ask() -> Answer:
        paid.append(ANSWER)
        return ANSWER

    @flow(persist_result=False)
    def asking() -> Answer:
        return executor.ask_once("question", "scope", Stage.SCOPE, ask)

    with store.renewing():
        if failures == 3:  # all tries of the task: the attempt ends, and the next one asks
            with pytest.raises(DatabaseError):
                asking()
        assert asking() == ANSWER.model_copy(update={"answer_id": "question"})
    assert len(paid) == (1 if failures == 1 else 2)
    with store.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM leases")).scalar_one() == 0
