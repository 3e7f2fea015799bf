"""The task of the scoring flow: a teacher scores one answer of the student."""

from dataclasses import dataclass

from store.runs import RawStore
from tasks.define import engine_task
from training.data.scoring import Scorer, Unscored, keep


@dataclass(frozen=True)
class ScoringContext:
    """The shared context of a run's answers. `identity` is the teacher's, read once."""

    raw: RawStore
    scorer: Scorer
    identity: str


@engine_task("score {label}")
def score_answer(label: str, context: ScoringContext, answer: Unscored) -> float:
    """Have the teacher score an answer and store the score; returns it (0 to 1)."""
    messages, text = answer.texts(context.raw)
    opinion = context.scorer.score(answer.stage, messages, text)
    keep(context.raw, context.identity, answer, opinion)
    return opinion.score
