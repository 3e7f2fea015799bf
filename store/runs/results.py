"""Outcomes of trajectories: instances that gold solved, and a planner's results in a campaign and over time."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, select

from models.outcomes import OutcomeKind
from models.training import PairSource
from store.database import reading
from store.runs.attempts import AttemptKey
from store.runs.report import latest_run
from store.tables import Campaign, InstanceRow, OutcomeRow, TaskRun, same_trajectory, table_of
from store.texts import sha256

_TRAJECTORIES, _INSTANCES = table_of(TaskRun), table_of(InstanceRow)
_OUTCOMES, _CAMPAIGNS = table_of(OutcomeRow), table_of(Campaign)


class SolvedInstance(NamedTuple):
    """An instance with a passing attempt at it; `spec` is the hash of the instance's text."""

    key: AttemptKey
    instance: str
    repository: str
    commit: str
    spec: str


class SampleResult(NamedTuple):
    """The outcome of one sample of an instance. `success` is None without a verdict; `kind` is the last attempt's
    outcome, None if none has ended, or if the trajectory was opened again since. `identity` is the hash of the
    planner's identity, `alignment` its plan's structural measures, None without a plan; `key` is its last attempt."""

    temperature: float
    sample: int
    success: bool | None
    kind: OutcomeKind | None
    identity: str
    repository: str
    commit: str
    alignment: dict[str, float] | None = None
    key: AttemptKey | None = None


class RunVerdict(NamedTuple):
    """A trajectory with a verdict; `identity` is the hash of the planner's identity, `instance` the instance's key."""

    campaign: str
    identity: str
    instance: str
    success: bool


def solved_instances(connection: Connection, planner: str, repositories: Collection[str]) -> list[SolvedInstance]:
    """The newest passing trajectory of a planner at each commit of some repositories, by repository and commit.

    What was synthesized without any test run has passed nothing.
    """
    query = (
        select(
            _TRAJECTORIES.c.campaign_id,
            _TRAJECTORIES.c.id,
            _TRAJECTORIES.c.closed_attempt,
            _INSTANCES.c.instance_id,
            _INSTANCES.c.repository,
            _INSTANCES.c.commit,
            _INSTANCES.c.spec_hash,
        )
        .join(_INSTANCES, _INSTANCES.c.id == _TRAJECTORIES.c.instance_id)
        .where(
            _TRAJECTORIES.c.planner == planner,
            _TRAJECTORIES.c.success,
            _TRAJECTORIES.c.source != PairSource.SYNTHETIC_DIRECT.value,
            _INSTANCES.c.repository.in_(sorted(set(repositories))),
        )
        .order_by(_TRAJECTORIES.c.closed_at, _TRAJECTORIES.c.id)
    )
    newest = {
        (repository, commit): SolvedInstance(
            AttemptKey(campaign, trajectory, attempt), instance, repository, commit, spec
        )
        for campaign, trajectory, attempt, instance, repository, commit, spec in connection.execute(query)
    }
    return [newest[key] for key in sorted(newest)]


def sample_results(raw: Engine, campaign: str, planner: str, identity: str | None = None) -> list[SampleResult]:
    """A planner's trajectories in a campaign, by label or id, in the order of their keys; with `identity`, only those
    of that planner. Raises UsageError for a label never used."""
    with reading(raw) as connection:
        known = connection.scalar(select(_CAMPAIGNS.c.id).where(_CAMPAIGNS.c.id == campaign))
        campaign_id = known or latest_run(connection, campaign)["campaign_id"]
        query = (
            select(
                _TRAJECTORIES.c.temperature,
                _TRAJECTORIES.c.sample,
                _TRAJECTORIES.c.success,
                _OUTCOMES.c.kind,
                _TRAJECTORIES.c.planner_hash,
                _INSTANCES.c.repository,
                _INSTANCES.c.commit,
                _OUTCOMES.c.alignment,
                _TRAJECTORIES.c.id,
                _TRAJECTORIES.c.attempts,
            )
            .join(_INSTANCES, _INSTANCES.c.id == _TRAJECTORIES.c.instance_id)
            .outerjoin(
                _OUTCOMES,
                same_trajectory(_OUTCOMES) & (_OUTCOMES.c.attempt == _TRAJECTORIES.c.attempts),
            )
            .where(_TRAJECTORIES.c.campaign_id == campaign_id, _TRAJECTORIES.c.planner == planner)
            .order_by(_TRAJECTORIES.c.id)
        )
        if identity is not None:
            query = query.where(_TRAJECTORIES.c.planner_hash == sha256(identity))
        rows = connection.execute(query).all()
    return [
        SampleResult(
            temperature,
            sample,
            success,
            _counting(kind, success),
            identity,
            repository,
            commit,
            alignment,
            AttemptKey(campaign_id, trajectory, attempt),
        )
        for temperature, sample, success, kind, identity, repository, commit, alignment, trajectory, attempt in rows
    ]


def closed_trajectories(raw: Engine, name: str) -> list[str]:
    """Ids of the closed trajectories of the campaign last run under a label, in order. Raises UsageError as
    `latest_run` does."""
    with reading(raw) as connection:
        campaign = latest_run(connection, name)["campaign_id"]
        query = select(_TRAJECTORIES.c.id).where(
            _TRAJECTORIES.c.campaign_id == campaign, _TRAJECTORIES.c.closed_at.is_not(None)
        )
        return list(connection.scalars(query.order_by(_TRAJECTORIES.c.id)))


def campaign_settings(raw: Engine, campaign: str) -> dict[str, Any]:
    """The configuration of a campaign, by its key; empty if it is not a campaign's."""
    with reading(raw) as connection:
        return dict(connection.scalar(select(_CAMPAIGNS.c.config).where(_CAMPAIGNS.c.id == campaign)) or {})


def _counting(kind: str | None, success: bool | None) -> OutcomeKind | None:
    """The outcome of a last attempt, unless its trajectory was opened again since."""
    if kind is None or (success is None and OutcomeKind(kind).final):
        return None
    return OutcomeKind(kind)


def verdicts(raw: Engine, planner: str, without: Collection[str] = ()) -> list[RunVerdict]:
    """A planner's trajectories with a verdict, without some repositories, the most recently closed first."""
    query = (
        select(
            _TRAJECTORIES.c.campaign_id,
            _TRAJECTORIES.c.planner_hash,
            _TRAJECTORIES.c.instance_id,
            _TRAJECTORIES.c.success,
        )
        .join(_INSTANCES, _INSTANCES.c.id == _TRAJECTORIES.c.instance_id)
        .where(
            _TRAJECTORIES.c.planner == planner,
            _TRAJECTORIES.c.success.is_not(None),
            _INSTANCES.c.repository.not_in(sorted(without)),
        )
        .order_by(_TRAJECTORIES.c.closed_at.desc(), _TRAJECTORIES.c.id)
    )
    with reading(raw) as connection:
        return [RunVerdict(*row) for row in connection.execute(query)]
