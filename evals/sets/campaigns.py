"""Scores of code and planning: the harness asked the subject, and the instances' own tests judged."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, RowMapping, select

from evals.thresholds import PASS, stage_pass
from models.errors import EvaluationError
from models.evaluation import Evaluation, EvaluationSet, ItemScore
from models.outcomes import Blame, OutcomeKind
from models.plans import Frozen
from models.training import TrainingTarget
from store.rows import reading, sha256, table_of
from store.runs.report import latest_run
from store.tables import Campaign, InstanceRow, OutcomeRow, TaskRun

if TYPE_CHECKING:
    from sqlalchemy import Engine

_RUNS = table_of(TaskRun)
_INSTANCES = table_of(InstanceRow)
_OUTCOMES = table_of(OutcomeRow)
_CAMPAIGNS = table_of(Campaign)


class ExcludedSample(Frozen):
    """A sample of an item that says nothing about the subject: a fault of infrastructure or environment."""

    item: str
    instance: str
    seed: int
    kind: OutcomeKind


class InstanceScores(Frozen):
    """pass@1 of each item and seed, and the samples that were left out."""

    scores: tuple[ItemScore, ...]
    excluded: tuple[ExcludedSample, ...]


def scores_from_campaign(
    raw: "Engine",
    campaign: str,
    evaluation_set: EvaluationSet,
    planner: str = "student",
    identity: str | None = None,
) -> InstanceScores:
    """How a planner did on a set's instances in a campaign, by label or id: 1 where the hidden tests passed, else 0.

    A seed is the place of (temperature, sample) among those of the campaign. `identity` is the planner's, needed when
    several (a base, and adapters on it) answered under one name. Raises EvaluationError when an instance was not run,
    is still open, or lost all its samples to faults of infrastructure (an instance whose own environment is broken says
    nothing of anybody and is left out); UsageError for a label never used.
    """
    with reading(raw) as connection:
        runs = _runs(connection, campaign, planner, identity)
    grid = sorted({(run["temperature"], run["sample"]) for run in runs})
    by_instance: dict[tuple[str, str], list[RowMapping]] = {}
    for run in runs:
        by_instance.setdefault((run["repository"], run["commit"]), []).append(run)
    scores, excluded = [], []
    for item in evaluation_set.items:
        found = by_instance.get((item.repository, item.commit), [])
        judged = 0
        for run in found:
            seed = grid.index((run["temperature"], run["sample"]))
            if run["success"] is not None:
                passed = {PASS: float(run["success"])}
                if evaluation_set.target is TrainingTarget.PLANNING:  # one kind of plan must not pay for another
                    passed[stage_pass(item.stage)] = passed[PASS]
                scores.append(ItemScore(item=item.id, repository=item.repository, seed=seed, scores=passed))
                judged += 1
            elif run["kind"] is not None:
                kind = OutcomeKind(run["kind"])
                excluded.append(ExcludedSample(item=item.id, instance=item.instance, seed=seed, kind=kind))
            else:
                raise EvaluationError(_unfinished(campaign, item.instance, "was not finished"))
        if not judged and not (found and all(_broken(run) for run in found)):
            why = f"has no verdict ({excluded[-1].kind.value})" if found else f"was not run by {planner}"
            raise EvaluationError(_unfinished(campaign, item.instance, why))
    return InstanceScores(scores=tuple(scores), excluded=tuple(excluded))


def in_common(one: Evaluation, other: Evaluation) -> tuple[Evaluation, Evaluation]:
    """Two evaluations of a set, with the scores of those items and seeds alone that both have.

    A fault of infrastructure may take a sample from either; a gate compares only what both answered.
    """
    keys = {(score.item, score.seed) for score in one.scores} & {(score.item, score.seed) for score in other.scores}

    def kept(evaluation: Evaluation) -> Evaluation:
        scores = tuple(score for score in evaluation.scores if (score.item, score.seed) in keys)
        return evaluation.model_copy(update={"scores": scores})

    return kept(one), kept(other)


def _broken(run: RowMapping) -> bool:
    """Whether a sample failed by the instance's own environment or tests: it may do so for ever."""
    return run["kind"] is not None and OutcomeKind(run["kind"]).blame is Blame.ENVIRONMENT


def _unfinished(campaign: str, instance: str, why: str) -> str:
    return f"campaign {campaign}: instance {instance} {why}; run the campaign again, finished ones are not repeated"


def _runs(connection: Connection, campaign: str, planner: str, identity: str | None) -> Sequence[RowMapping]:
    """The planner's trajectories with their instance and, while they are open, how their last attempt ended."""
    known = connection.scalar(select(_CAMPAIGNS.c.id).where(_CAMPAIGNS.c.id == campaign))
    campaign_id = known or latest_run(connection, campaign)["campaign_id"]
    query = (
        select(
            _RUNS.c.temperature,
            _RUNS.c.sample,
            _RUNS.c.success,
            _RUNS.c.planner_hash,
            _INSTANCES.c.repository,
            _INSTANCES.c.commit,
            _OUTCOMES.c.kind,
        )
        .join(_INSTANCES, _INSTANCES.c.id == _RUNS.c.instance_id)
        .outerjoin(
            _OUTCOMES,
            (_OUTCOMES.c.campaign_id == _RUNS.c.campaign_id)
            & (_OUTCOMES.c.task_run_id == _RUNS.c.id)
            & (_OUTCOMES.c.attempt == _RUNS.c.attempts),
        )
        .where(_RUNS.c.campaign_id == campaign_id, _RUNS.c.planner == planner)
        .order_by(_RUNS.c.id)
    )
    if identity is not None:
        query = query.where(_RUNS.c.planner_hash == sha256(identity))
    runs = connection.execute(query).mappings().all()
    if len({run["planner_hash"] for run in runs}) > 1:
        raise EvaluationError(
            f"campaign {campaign}: several models or adapters answered as {planner}; say by its identity which is meant"
        )
    return runs
