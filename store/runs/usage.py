"""Calls of a campaign's planners, their cost, and the outcome of each trajectory: the raw figures of a report."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, case, cast, func, select

from models.outcomes import OutcomeKind
from models.plans import Frozen
from models.protocols import FALLBACK
from models.training import PairSource
from store.runs.funnel import CampaignFunnel, read_funnel
from store.runs.latencies import StageLatency, read_latencies
from store.runs.measurements import OwnTests, read_own_tests
from store.runs.report import latest_run
from store.tables import (
    AttributionRow,
    EditRow,
    InstanceRow,
    RetrievalDecision,
    RetrievalLlmCall,
    TaskRun,
    same_attempt,
    same_trajectory,
    table_of,
)

_TRAJECTORIES = table_of(TaskRun)
_CALLS = table_of(RetrievalLlmCall)
REJECTED = "rejected"


class StageUse(Frozen):
    """The calls of one planner at one stage, in all attempts.

    Of the `questions`, `calls` reached a model; the rest reused earlier answers. Tokens, cost,
    seconds and retries are those of the calls. `malformed` answers could not be parsed; `repairs` are further
    attempts, for any reason; `fallbacks` are answers of the generalist in place of the stage's own model.
    """

    planner: str
    stage: str
    questions: int
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: float
    seconds: float
    retries: int
    malformed: int
    repairs: int
    fallbacks: int


class ClosedTrajectory(Frozen):
    """The outcome of a closed trajectory. `context_tokens` is the size of the retrieved context, if any.

    `label` is the stage to which its failure was attributed, if any. `synthesized` ones are pairs made from a commit
    without any test run, which say nothing of how often a planner passes.
    """

    planner: str
    repository: str
    instance: str
    temperature: float
    sample: int
    outcome: str
    passed: bool
    synthesized: bool
    label: str | None
    context_tokens: int | None


class Usage(Frozen):
    """The figures behind a report. `rungs` counts edits by planner and by the rung that applied them, or `rejected`.

    `own_tests` covers the trajectories in which the planner wrote tests that were measured. `latencies` are those of
    `stages`, whose calls they count; `funnel` covers open trajectories as well.
    """

    campaign_id: str
    stages: tuple[StageUse, ...]
    results: tuple[ClosedTrajectory, ...]
    rungs: dict[str, dict[str, int]]
    own_tests: tuple[OwnTests, ...]
    latencies: tuple[StageLatency, ...]
    funnel: CampaignFunnel


def read_usage(connection: Connection, name: str) -> Usage:
    """The figures of the campaign that last ran under a label. Raises UsageError for a label never used."""
    campaign_id = latest_run(connection, name)["campaign_id"]
    return Usage(
        campaign_id=campaign_id,
        stages=tuple(read_stages(connection, campaign_id)),
        results=tuple(_results(connection, campaign_id)),
        rungs=_rungs(connection, campaign_id),
        own_tests=tuple(read_own_tests(connection, campaign_id)),
        latencies=read_latencies(connection, campaign_id),
        funnel=read_funnel(connection, campaign_id),
    )


def read_stages(connection: Connection, campaign_id: str | None) -> list[StageUse]:
    """Calls in a campaign, or in all of them, by planner and stage."""
    fresh = _CALLS.c.reused.is_(False)

    def paid(column: str) -> ColumnElement[Any]:
        return func.coalesce(func.sum(case((fresh, _CALLS.c[column]), else_=0)), 0).label(column)

    columns: list[ColumnElement[Any]] = [
        _TRAJECTORIES.c.planner,
        _CALLS.c.call_type.label("stage"),
        func.count().label("questions"),
        func.sum(cast(fresh, Integer)).label("calls"),
        *(paid(name) for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "cost", "retries")),
        paid("latency").label("seconds"),
        func.sum(cast(_CALLS.c.step_attempt > 0, Integer)).label("repairs"),
    ]
    query = (
        select(*columns)
        .join(_TRAJECTORIES, same_trajectory(_CALLS))
        .group_by(_TRAJECTORIES.c.planner, _CALLS.c.call_type)
        .order_by(_TRAJECTORIES.c.planner, _CALLS.c.call_type)
    )
    if campaign_id is not None:
        query = query.where(_CALLS.c.campaign_id == campaign_id)
    malformed = _decisions(connection, campaign_id, "malformed")
    fallbacks = _decisions(connection, campaign_id, FALLBACK)
    return [
        StageUse.model_validate(
            {
                **row,
                "malformed": malformed.get((row["planner"], row["stage"]), 0),
                "fallbacks": fallbacks.get((row["planner"], row["stage"]), 0),
            }
        )
        for row in connection.execute(query).mappings()
    ]


def _decisions(connection: Connection, campaign_id: str | None, decision: str) -> dict[tuple[str, str], int]:
    """How often a decision was made, by planner and stage."""
    decisions = table_of(RetrievalDecision)
    query = (
        select(_TRAJECTORIES.c.planner, decisions.c.stage, func.count())
        .join(_TRAJECTORIES, same_trajectory(decisions))
        .where(decisions.c.decision == decision)
        .group_by(_TRAJECTORIES.c.planner, decisions.c.stage)
    )
    if campaign_id is not None:
        query = query.where(decisions.c.campaign_id == campaign_id)
    return {(planner, stage): count for planner, stage, count in connection.execute(query)}


def _results(connection: Connection, campaign_id: str) -> list[ClosedTrajectory]:
    instances, attributions = table_of(InstanceRow), table_of(AttributionRow)
    contexts = (
        select(_CALLS.c.task_run_id, _CALLS.c.attempt, func.max(_CALLS.c.context_tokens).label("context_tokens"))
        .where(_CALLS.c.campaign_id == campaign_id)
        .group_by(_CALLS.c.task_run_id, _CALLS.c.attempt)
        .subquery()
    )
    query = (
        select(
            _TRAJECTORIES.c.planner,
            instances.c.repository,
            instances.c.instance_id.label("instance"),
            _TRAJECTORIES.c.temperature,
            _TRAJECTORIES.c.sample,
            _TRAJECTORIES.c.outcome,
            (_TRAJECTORIES.c.outcome == OutcomeKind.PASSED.value).label("passed"),
            (_TRAJECTORIES.c.source == PairSource.SYNTHETIC_DIRECT.value).label("synthesized"),
            attributions.c.label,
            contexts.c.context_tokens,
        )
        .join(instances, instances.c.id == _TRAJECTORIES.c.instance_id)
        .outerjoin(
            attributions,
            same_attempt(attributions),
        )
        .outerjoin(
            contexts,
            (contexts.c.task_run_id == _TRAJECTORIES.c.id) & (contexts.c.attempt == _TRAJECTORIES.c.closed_attempt),
        )
        .where(_TRAJECTORIES.c.campaign_id == campaign_id, _TRAJECTORIES.c.closed_at.is_not(None))
        .order_by(
            _TRAJECTORIES.c.planner,
            instances.c.repository,
            instances.c.instance_id,
            _TRAJECTORIES.c.temperature,
            _TRAJECTORIES.c.sample,
        )
    )
    return [ClosedTrajectory.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def _rungs(connection: Connection, campaign_id: str) -> dict[str, dict[str, int]]:
    edits = table_of(EditRow)
    query = (
        select(_TRAJECTORIES.c.planner, edits.c.rung, func.count())
        .join(_TRAJECTORIES, same_trajectory(edits))
        .where(edits.c.campaign_id == campaign_id, (edits.c.rung.is_not(None)) | (edits.c.error.is_not(None)))
        .group_by(_TRAJECTORIES.c.planner, edits.c.rung)
    )
    found: dict[str, dict[str, int]] = {}
    for planner, rung, count in connection.execute(query):
        found.setdefault(planner, {})[rung or REJECTED] = count
    return {planner: dict(sorted(counts.items())) for planner, counts in sorted(found.items())}


def closed_by_planner(connection: Connection, campaign_id: str) -> dict[str, int]:
    """The number of closed trajectories of a campaign, by planner."""
    query = (
        select(_TRAJECTORIES.c.planner, func.count())
        .where(_TRAJECTORIES.c.campaign_id == campaign_id, _TRAJECTORIES.c.closed_at.is_not(None))
        .group_by(_TRAJECTORIES.c.planner)
    )
    return dict(connection.execute(query).all())


def closed_in_all(connection: Connection) -> dict[str, int]:
    """How many trajectories of all campaigns are closed, by planner."""
    query = (
        select(_TRAJECTORIES.c.planner, func.count())
        .where(_TRAJECTORIES.c.closed_at.is_not(None))
        .group_by(_TRAJECTORIES.c.planner)
    )
    return dict(connection.execute(query).all())
