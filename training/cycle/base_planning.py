"""Evidence about a tuned base's plans: campaigns with each of two bases as the student, and what people say of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from evals.planning_gate import compare_planning
from evals.thresholds import Rules
from models.base_evaluation import PlanningEvidence
from models.errors import EvaluationError
from store.database import reading
from store.runs.plan_reviews import count_reviews, reviews_of
from store.runs.plan_runs import (
    PlanRun,
    generalists_answers,
    own_identity,
    plan_runs,
    planning_models,
    trajectories_of,
)
from store.runs.report import latest_run
from training.cycle.context import TrainingContext
from training.cycle.student_runs import STUDENT

if TYPE_CHECKING:
    from store.database import Connection


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
        runs = identities(connection, campaigns)
        ids, sides = [each.campaign for each in runs], [each.identity for each in runs]
        before, after = (
            _unseen(plan_runs(connection, name, identity=side), seen)
            for name, side in zip(campaigns, sides, strict=True)
        )
        models = [planning_models(connection, *each) for each in zip(ids, sides, strict=True)]
        own = trajectories_of(connection, ids[1], sides[1])
        read = [each for each in reviews_of(connection, ids[1]) if each.name.trajectory in own]
        reviews = count_reviews(read).get(STUDENT, {})
        tests = compare_planning(before, after, Rules())
    return PlanningEvidence(
        campaigns=tuple(campaigns), models=(models[0], models[1]), tests=tuple(tests), reviews=reviews
    )


class StudentRuns(NamedTuple):
    """The runs of the student under a label: the campaign's key, and its models (a hash)."""

    campaign: str
    identity: str


def identities(connection: "Connection", campaigns: PlanningCampaigns) -> tuple[StudentRuns, StudentRuns]:
    """The student's runs under both labels. Raises UsageError for an unknown one, EvaluationError if a label has none,
    another model answered in place of the base, or both are of the same models."""
    before, after = (
        StudentRuns(campaign, _identity(connection, name, campaign))
        for name in campaigns
        for campaign in [latest_run(connection, name)["campaign_id"]]
    )
    if before.identity == after.identity:
        raise EvaluationError(
            f"{campaigns[0]} and {campaigns[1]} were run with the same models; name one with each base"
        )
    return before, after


def _identity(connection: "Connection", name: str, campaign: str) -> str:
    """The student's models (a hash) under a label. Raises EvaluationError if there are none, or another answered."""
    identity = own_identity(connection, name, STUDENT)
    if identity is None:
        raise EvaluationError(
            f"campaign {name}: the student began nothing under this name; run it with the base at its endpoint, or "
            "name the campaign in which it did"
        )
    if count := generalists_answers(connection, campaign, identity):
        raise EvaluationError(
            f"campaign {name}: a generalist gave {count} of the student's answers, so that its plans are not its "
            "base's alone; run one without [models.roles] generalist"
        )
    return identity


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
