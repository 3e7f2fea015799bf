"""Evidence about a tuned base's plans: campaigns with each of two bases as the student, and what people say of them."""

from collections.abc import Iterator
from typing import NamedTuple

from evals.planning_gate import compare_planning
from evals.thresholds import Rules
from models.base_evaluation import PlanningEvidence
from models.errors import EvaluationError
from store.database import reading
from store.runs.plan_reviews import count_reviews, reviews_of
from store.runs.plan_runs import PlanRun, generalists_answers, plan_runs, planning_models
from store.runs.report import latest_run
from training.cycle.context import TrainingContext
from training.cycle.student_runs import STUDENT


class PlanningCampaigns(NamedTuple):
    """The labels of the campaigns in which the old base and the new one planned."""

    before: str
    after: str


def planning_evidence(context: TrainingContext, campaigns: PlanningCampaigns, seen: set[str]) -> PlanningEvidence:
    """What two campaigns say of plans, without the repositories that were trained on.

    Raises UsageError for an unknown campaign, EvaluationError if nothing is left to compare, or where another model
    answered in place of the base.
    """
    with reading(context.raw_engine) as connection:
        before, after = (_unseen(plan_runs(connection, name, STUDENT), seen) for name in campaigns)
        ids = [latest_run(connection, name)["campaign_id"] for name in campaigns]
        if ids[0] == ids[1]:
            raise EvaluationError(f"{campaigns[0]} and {campaigns[1]} are one campaign; name one with each base")
        for name, campaign in zip(campaigns, ids, strict=True):
            if count := generalists_answers(connection, campaign, STUDENT):
                raise EvaluationError(
                    f"campaign {name}: a generalist gave {count} of the student's answers, so that its plans are not "
                    "its base's alone; run one without [models.roles] generalist"
                )
        models = [planning_models(connection, campaign) for campaign in ids]
        reviews = count_reviews(reviews_of(connection, ids[1])).get(STUDENT, {})
        tests = compare_planning(before, after, Rules())
    return PlanningEvidence(
        campaigns=tuple(campaigns), models=(models[0], models[1]), tests=tuple(tests), reviews=reviews
    )


def planning_notes(evidence: PlanningEvidence) -> list[str]:
    """Which models answered, and how many plans of the new base a person has read."""
    counts = [f"{kind} {sum(verdicts.values())}" for kind, verdicts in evidence.reviews.items()]
    bad = sum(verdicts["bad"] for verdicts in evidence.reviews.values())
    read = f"{', '.join(counts)}, {bad} of them bad" if counts else f"none; cra review planning {evidence.campaigns[1]}"
    return [
        f"plans by {evidence.models[0] or 'no model'} ({evidence.campaigns[0]}) against "
        f"{evidence.models[1] or 'no model'} ({evidence.campaigns[1]}), as the endpoints name them",
        f"plans of {evidence.campaigns[1]} that a person has read: {read}",
    ]


def _unseen(runs: Iterator[PlanRun], seen: set[str]) -> Iterator[PlanRun]:
    return (run for run in runs if run.repository not in seen)
