"""What teachers think of the student's answers, by the texts of prompt and answer."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from models.training import PairSource
from store.rows import table_of
from store.tables import AnswerScore
from training.data.pairs.calls import Call
from training.data.pairs.runs import ClosedRun

_SCORES = table_of(AnswerScore)
STUDENTS = ("student", "no-plan")
AnswerScores = Mapping[tuple[str, str, str], float]
"""Stage, hash of the prompt and hash of the answer -> score from 0 to 1; of several teachers the last one's."""


def read_scores(connection: Connection) -> AnswerScores:
    """All scores."""
    rows = connection.execute(select(_SCORES).order_by(_SCORES.c.created_at, _SCORES.c.id))
    return {(row.stage, row.prompt_hash, row.response_hash): row.score for row in rows}


def score_of(call: Call, scores: AnswerScores) -> float | None:
    """What a teacher thinks of an answer; None if none was asked, or the answer is not the student's own."""
    if call.prompt is None or not is_on_policy(call.run):
        return None
    return scores.get((call.stage.value, call.prompt, call.response))


def is_on_policy(run: ClosedRun) -> bool:
    """Whether the student itself answered."""
    return run.source is PairSource.LOGGED or run.planner in STUDENTS
