"""Teachers' scores of the student's own answers."""

from models.training import PairSource
from store.learning.answer_scores import AnswerScores
from store.runs.closed_runs import ClosedRun
from training.data.sources.calls import Call

STUDENTS = ("student", "no-plan")


def score_of(call: Call, scores: AnswerScores) -> float | None:
    """A teacher's score of an answer; None without one, or if the answer is not the student's own."""
    if call.prompt is None or not is_on_policy(call.run):
        return None
    return scores.get((call.stage.value, call.prompt, call.response))


def is_on_policy(run: ClosedRun) -> bool:
    """Whether the student itself gave the answers."""
    return run.source is PairSource.LOGGED or run.planner in STUDENTS
