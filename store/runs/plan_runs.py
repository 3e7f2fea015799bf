"""The plans of a campaign's closed trajectories, with what came of them: rows that planning figures are made of."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from models.manifest import Instance
from models.outcomes import OutcomeKind
from models.plans import MetaPlan, PartPlan, TestPlan
from models.protocols import FALLBACK, Stage
from models.test_quality import TestQuality
from models.training import PairSource
from store.runs.attempts import AttemptKey
from store.runs.measurements import own_quality
from store.runs.report import latest_run
from store.runs.step_events import StepEvent, step_events
from store.runs.superseded import counted
from store.tables import (
    CampaignRun,
    InstanceRow,
    OutcomeRow,
    PlanRow,
    RetrievalDecision,
    RetrievalLlmCall,
    TaskRun,
    same_attempt,
    same_trajectory,
    table_of,
)
from store.texts import read_texts

_TRAJECTORIES, _INSTANCES, _OUTCOMES = table_of(TaskRun), table_of(InstanceRow), table_of(OutcomeRow)
_CAMPAIGN_RUNS = table_of(CampaignRun)
_PLANS, _CALLS, _DECISIONS = table_of(PlanRow), table_of(RetrievalLlmCall), table_of(RetrievalDecision)
_KINDS: dict[str, type[MetaPlan | PartPlan]] = {
    Stage.META_PLAN.value: MetaPlan,
    Stage.PART_PLAN.value: PartPlan,
    Stage.TEST_PLAN.value: TestPlan,
    Stage.ADJUSTMENT.value: MetaPlan,
}


class StoredPlan(NamedTuple):
    """A plan of an attempt, at its place (`seq`); that of the stage `adjustment` replaces the parts not yet begun."""

    seq: int
    stage: Stage
    plan: MetaPlan | PartPlan


class PlanRun(NamedTuple):
    """A closed trajectory with the plans of the attempt that closed it, and the planning stages that it `asked`.

    `synthesized`: made from a commit, and nothing was run; its steps and tests then say nothing. `own_tests` is None
    where its tests were not measured.
    """

    planner: str
    repository: str
    instance: Instance
    key: AttemptKey
    outcome: str
    synthesized: bool
    alignment: dict[str, float] | None
    patch: str
    asked: frozenset[Stage]
    plans: tuple[StoredPlan, ...]
    steps: tuple[StepEvent, ...]
    own_tests: TestQuality | None


def plan_runs(
    connection: Connection, name: str, planner: str | None = None, identity: str | None = None
) -> Iterator[PlanRun]:
    """The closed trajectories that planned, or whose prompt was refused as too long before they did, of the
    campaign that last ran under a label, or of one planner in it, in the order of planner, repository, instance,
    temperature and sample; one after the other is read.

    Of a planner whose models changed, those of earlier ones have a label of their own, as in a report; `identity` are
    the models (a hash) that alone count. Raises UsageError for a label never used.
    """
    campaign = latest_run(connection, name)["campaign_id"]
    label, _ = counted(connection, campaign)
    query = (
        select(
            _TRAJECTORIES.c.id,
            label.label("planner"),
            _TRAJECTORIES.c.closed_attempt,
            _TRAJECTORIES.c.outcome,
            (_TRAJECTORIES.c.source == PairSource.SYNTHETIC_DIRECT.value).label("synthesized"),
            _INSTANCES.c.repository,
            _INSTANCES.c.spec_hash,
            _OUTCOMES.c.alignment,
            _OUTCOMES.c.patch_hash,
        )
        .join(_INSTANCES, _INSTANCES.c.id == _TRAJECTORIES.c.instance_id)
        .join(_OUTCOMES, same_attempt(_OUTCOMES))
        .where(_TRAJECTORIES.c.campaign_id == campaign, _TRAJECTORIES.c.closed_at.is_not(None))
        .order_by(
            _TRAJECTORIES.c.planner,
            _INSTANCES.c.repository,
            _INSTANCES.c.instance_id,
            _TRAJECTORIES.c.temperature,
            _TRAJECTORIES.c.sample,
        )
    )
    if planner is not None:
        query = query.where(label == planner)
    if identity is not None:
        query = query.where(_TRAJECTORIES.c.planner_hash == identity)
    for row in connection.execute(query).all():
        key = AttemptKey(campaign, row.id, row.closed_attempt)
        asked = _asked(connection, key)
        if not asked and row.outcome != OutcomeKind.PROMPT_TOO_LONG.value:
            continue
        texts = read_texts(connection, [row.spec_hash, row.patch_hash])
        yield PlanRun(
            planner=row.planner,
            repository=row.repository,
            instance=Instance.model_validate_json(texts[row.spec_hash]),
            key=key,
            outcome=row.outcome,
            synthesized=bool(row.synthesized),
            alignment=row.alignment,
            patch=texts[row.patch_hash],
            asked=asked,
            plans=stored_plans(connection, key),
            steps=tuple(step_events(connection, key)),
            own_tests=own_quality(connection, *key),
        )


def _asked(connection: Connection, key: AttemptKey) -> frozenset[Stage]:
    """The planning stages that an attempt asked."""
    query = select(_CALLS.c.call_type).where(
        _CALLS.c.campaign_id == key.campaign,
        _CALLS.c.task_run_id == key.trajectory,
        _CALLS.c.attempt == key.attempt,
        _CALLS.c.call_type.in_(_KINDS),
    )
    return frozenset(Stage(name) for name in connection.scalars(query.distinct()))


def stored_plans(connection: Connection, key: AttemptKey) -> tuple[StoredPlan, ...]:
    """The plans of an attempt, in their order."""
    query = (
        select(_PLANS.c.seq, _PLANS.c.stage, _PLANS.c.plan_hash)
        .where(
            _PLANS.c.campaign_id == key.campaign,
            _PLANS.c.task_run_id == key.trajectory,
            _PLANS.c.attempt == key.attempt,
        )
        .order_by(_PLANS.c.seq)
    )
    rows = connection.execute(query).all()
    texts = read_texts(connection, [row.plan_hash for row in rows])
    return tuple(
        StoredPlan(row.seq, Stage(row.stage), _KINDS[row.stage].model_validate_json(texts[row.plan_hash]))
        for row in rows
    )


def own_identity(connection: Connection, name: str, planner: str) -> str | None:
    """The models (a hash) with which a planner began under a label, the last if there were several; None: with none.

    Runs with the same settings are one campaign whatever models answer and whatever they are called, so that the label
    of some models is that under which their first trajectory was opened.
    """
    campaign = latest_run(connection, name)["campaign_id"]
    of_campaign = _CAMPAIGN_RUNS.c.campaign_id == campaign
    started = connection.execute(
        select(_CAMPAIGN_RUNS.c.started_at, _CAMPAIGN_RUNS.c.name)
        .where(of_campaign)
        .order_by(_CAMPAIGN_RUNS.c.started_at)
    ).all()
    first = func.min(_TRAJECTORIES.c.opened_at)
    begun = connection.execute(
        select(_TRAJECTORIES.c.planner_hash, first)
        .where(_TRAJECTORIES.c.campaign_id == campaign, _TRAJECTORIES.c.planner == planner)
        .group_by(_TRAJECTORIES.c.planner_hash)
        .order_by(first)
    ).all()
    own = [each for each, at in begun if [label for since, label in started if since <= at][-1:] == [name]]
    return own[-1] if own else None


def trajectories_of(connection: Connection, campaign: str, identity: str) -> set[str]:
    """The keys of the trajectories in a campaign (its key) with some models (a hash)."""
    query = select(_TRAJECTORIES.c.id).where(
        _TRAJECTORIES.c.campaign_id == campaign, _TRAJECTORIES.c.planner_hash == identity
    )
    return set(connection.scalars(query))


def generalists_answers(connection: Connection, campaign: str, identity: str) -> int:
    """How often a generalist answered in place of some models (a hash), in all attempts of a campaign (its key)."""
    query = select(func.count()).select_from(_DECISIONS).join(_TRAJECTORIES, same_trajectory(_DECISIONS))
    query = query.where(_DECISIONS.c.campaign_id == campaign, _TRAJECTORIES.c.planner_hash == identity)
    return connection.execute(query.where(_DECISIONS.c.decision == FALLBACK)).scalar_one()


def planning_models(connection: Connection, campaign: str, identity: str) -> str:
    """The models that answered the planning stages of trajectories (by the hash of all their models) in a campaign (its
    key), with their adapters, in one line."""
    query = (
        select(_CALLS.c.model, _CALLS.c.adapter)
        .join(_TRAJECTORIES, same_trajectory(_CALLS))
        .where(
            _CALLS.c.campaign_id == campaign,
            _CALLS.c.call_type.in_(_KINDS),
            _TRAJECTORIES.c.planner_hash == identity,
        )
    )
    return ", ".join(sorted(" with ".join(filter(None, row)) for row in connection.execute(query.distinct())))
