"""The score flow: a teacher scores the student's own answers before they become examples.

answers of passing student runs that this teacher has not seen -> one question each -> rows; curation reads them
"""

from itertools import takewhile

from prefect import flow, tags
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from evals.sets import reserved_repositories
from flows.progress import progress_listener
from flows.training_context import open_training_context
from flows.window import completed
from models.errors import CapReached, MalformedAnswer, PromptTooLong, ProviderError
from models.plans import Frozen
from models.training import TrainingTarget
from tasks.define import opaque_argument
from tasks.scoring import ScoringContext, score_answer
from training.data.scoring import Scorer, Unscored, unscored

MOST_FAILURES = 3
"""Most consecutive answers for which the teacher could not be asked, before the run stops."""


class ScoreReport(Frozen):
    """The result of a run: new `scores` (0 to 1), the number already `known`, and the number still `open`.

    `accepted` of the new ones reach `least`. `unread` answers got no parsable reply, or exceed the teacher's prompt
    limit. `stopped` is the reason if the run ended early.
    """

    target: TrainingTarget
    scores: tuple[float, ...]
    accepted: int
    least: float
    known: int
    unread: int
    open: int
    cost: float
    stopped: str = ""


@flow(name="score", flow_run_name="score {target.value}", persist_result=False)
def score(
    target: TrainingTarget, campaigns: tuple[str, ...] = (), limit: int | None = None, max_cost: float | None = None
) -> ScoreReport:
    """Have the teacher score the student's answers to a target's stages in runs that passed; at most `limit`.

    Every score is stored at once, so that an interrupted run loses nothing and pays for nothing twice. Raises
    UsageError without a teacher, or for a campaign that never ran.
    """
    from llm import Meter, open_router

    context, meter = open_training_context(), Meter(max_cost=max_cost)
    router = open_router(context.settings.models, "teacher", meter)
    scorer = Scorer(router)
    scoring = ScoringContext(context.raw, scorer, scorer.identity)
    found, known = unscored(
        context.raw,
        target,
        scoring.identity,
        campaigns,
        reserved_repositories(context.curated, context.raw_engine),
    )
    wanted = found[:limit]
    with tags("score", target.value):
        scores, unread, stopped = _run(scoring, wanted, target, router.concurrency)
    least = context.settings.curation.least_score
    report = ScoreReport(
        target=target,
        scores=tuple(scores),
        accepted=sum(each >= least for each in scores),
        least=least,
        known=known,
        unread=unread,
        open=len(found) - len(scores) - unread,
        cost=meter.spent.cost,
        stopped=stopped,
    )
    create_table_artifact(key=f"scores-{target.value.replace('_', '-')}", table=[report.model_dump(mode="json")])
    return report


def _run(
    scoring: ScoringContext, wanted: list[Unscored], target: TrainingTarget, at_a_time: int
) -> tuple[list[float], int, str]:
    """Scores, the number of answers without a score although the teacher was asked, and why it stopped early."""
    watch, what = progress_listener(), f"score {target.value}"
    watch.start(what, len(wanted))
    scores, unread, failures, stopped = list[float](), 0, 0, ""
    with ThreadPoolTaskRunner[float](max_workers=at_a_time) as runner:

        def submit(answer: Unscored) -> PrefectFuture[float]:
            label = f"{answer.stage.value} {answer.repository}@{answer.commit[:7]}"
            return runner.submit(
                score_answer.with_options(cache_policy=NO_CACHE),
                {"label": label, "context": opaque_argument(scoring), "answer": answer},
            )

        going_on = takewhile(lambda _: not stopped, wanted)
        for answer, future in completed(going_on, submit, at_a_time):
            ended = future.result(raise_on_failure=False)
            failures = failures + 1 if isinstance(ended, ProviderError) else 0
            if isinstance(ended, float):
                scores.append(ended)
            elif isinstance(ended, MalformedAnswer | PromptTooLong):
                unread += 1
            elif isinstance(ended, CapReached) or failures > MOST_FAILURES:
                stopped = stopped or str(ended)
            elif not isinstance(ended, ProviderError):  # which leaves the answer open
                raise ended
            watch.advance(what, f"{answer.repository}@{answer.commit[:7]}")
    return scores, unread, stopped
