"""The task of the scoring flow: one answer of the student's, shown to a teacher."""

from prefect import task

from store.runs import RawStore
from tasks.caching import RETRY_DELAYS, is_infrastructure
from training.data.scoring import Scorer, Unscored, keep


class ScoringContext:
    """What the answers of a run share. A plain class, so that the engine does not walk through what it holds."""

    def __init__(self, raw: RawStore, scorer: Scorer) -> None:
        self.raw, self.scorer, self.identity = raw, scorer, scorer.identity


@task(
    task_run_name="score {label}",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=False,
)
def score_answer(label: str, instance_context: ScoringContext, answer: Unscored) -> float:
    """Ask the teacher about an answer and keep its opinion; the score from 0 to 1."""
    messages, text = answer.texts(instance_context.raw)
    opinion = instance_context.scorer.score(answer.stage, messages, text)
    keep(instance_context.raw, instance_context.identity, answer, opinion)
    return opinion.score
