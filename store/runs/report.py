"""Progress of a campaign, counted in the database."""

from datetime import datetime

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Integer, RowMapping, Select, Subquery, case, cast, func, select

from models.errors import UsageError
from models.outcomes import OutcomeKind
from models.plans import Frozen
from store.runs.faults import FaultReason, read_faults
from store.runs.superseded import counted
from store.tables import (
    CampaignRun,
    InstanceRow,
    OutcomeRow,
    Reopening,
    RetrievalLlmCall,
    TaskRun,
    same_trajectory,
    table_of,
)

_TRAJECTORIES = table_of(TaskRun)
_OUTCOMES = table_of(OutcomeRow)
_CALLS, _REOPENED = table_of(RetrievalLlmCall), table_of(Reopening)
_CAMPAIGN_RUNS = table_of(CampaignRun)
_RETRIED = [kind.value for kind in OutcomeKind if not kind.final]


class PlannerReport(Frozen):
    """Counts of one planner's trajectories; the five counts add up to all of them.

    `unconfirmed`: the tests passed but their twins disagree, which is neither a success nor a failure.
    `infrastructure`: the last attempt ended in a fault of infrastructure or environment and is to be
    retried. `open`: no attempt has ended. `outcomes` counts trajectories by their (last) outcome; `seconds`
    is the wall time of all attempts that ended. Of the `questions` that all attempts asked, `replayed` were answered by
    what was stored before, at no cost.
    """

    passed: int = 0
    unconfirmed: int = 0
    failed: int = 0
    infrastructure: int = 0
    open: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict)
    seconds: float = 0.0
    questions: int = 0
    replayed: int = 0


class TrajectoryLine(Frozen):
    """One trajectory of a campaign, in a line. `outcome` is None while no attempt has ended, or since it was opened
    again; `detail` then says why it was."""

    id: str
    instance: str
    planner: str
    outcome: OutcomeKind | None
    detail: str


class CampaignReport(Frozen):
    """Progress of the campaign that last ran under `name`.

    `seconds` is the time from that run's start to the last closed trajectory. `replayed` counts the answers that were
    not asked for again but taken from an earlier attempt or sample. `faults` are the reasons of trajectories without a
    verdict. `stopped` is the reason why a run ended early; it is set only by that run itself.
    """

    name: str
    campaign_id: str
    instances: int
    planners: dict[str, PlannerReport]
    seconds: float
    replayed: int = 0
    faults: tuple[FaultReason, ...] = ()
    example: str = ""
    stopped: str = ""

    def to_json(self) -> str:
        """The report as JSON."""
        return self.model_dump_json(indent=2) + "\n"


def latest_run(connection: Connection, name: str) -> RowMapping:
    """The last run under a label. Raises UsageError, naming some labels, if there is none such."""
    run = (
        connection.execute(
            select(_CAMPAIGN_RUNS)
            .where(_CAMPAIGN_RUNS.c.name == name)
            .order_by(_CAMPAIGN_RUNS.c.started_at.desc(), _CAMPAIGN_RUNS.c.id)
            .limit(1)
        )
        .mappings()
        .first()
    )
    if run is None:
        raise UsageError(f"no campaign was run under the name {name!r}; {_known_names(connection)}")
    return run


def read_report(connection: Connection, name: str) -> CampaignReport:
    """The report of a label. Raises UsageError for a label never used."""
    run = latest_run(connection, name)
    instances, closed_at = connection.execute(
        select(func.count(_TRAJECTORIES.c.instance_id.distinct()), func.max(_TRAJECTORIES.c.closed_at)).where(
            _TRAJECTORIES.c.campaign_id == run["campaign_id"]
        )
    ).one()
    planners = _planners(connection, run["campaign_id"])
    return CampaignReport(
        name=name,
        campaign_id=run["campaign_id"],
        instances=instances,
        planners=planners,
        seconds=_seconds_between(run["started_at"], closed_at),
        replayed=sum(each.replayed for each in planners.values()),
        faults=read_faults(connection, run["campaign_id"]),
        example=_example(connection, run["campaign_id"]),
    )


def read_trajectories(connection: Connection, name: str, limit: int) -> list[TrajectoryLine]:
    """Trajectories of the campaign that last ran under a label, those that did not pass first; at most `limit`."""
    run = latest_run(connection, name)
    instances = table_of(InstanceRow)
    query = (
        select(
            _TRAJECTORIES.c.id,
            instances.c.instance_id.label("instance"),
            _TRAJECTORIES.c.planner,
            _last_kind().label("outcome"),
            func.coalesce(_REOPENED.c.reason, _OUTCOMES.c.detail, "").label("detail"),
        )
        .join(instances, instances.c.id == _TRAJECTORIES.c.instance_id)
        .outerjoin(
            _OUTCOMES,
            same_trajectory(_OUTCOMES)
            & (_OUTCOMES.c.attempt == func.coalesce(_TRAJECTORIES.c.closed_attempt, _TRAJECTORIES.c.attempts)),
        )
        .outerjoin(_REOPENED, same_trajectory(_REOPENED) & (_REOPENED.c.attempt == _OUTCOMES.c.attempt))
        .where(_TRAJECTORIES.c.campaign_id == run["campaign_id"])
        .order_by(
            func.coalesce(_TRAJECTORIES.c.success, False),
            _TRAJECTORIES.c.planner,
            instances.c.instance_id,
            _TRAJECTORIES.c.id,
        )
        .limit(limit)
    )
    return [TrajectoryLine.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def _example(connection: Connection, campaign_id: str) -> str:
    """A trajectory worth a look (one that did not pass, if there is one), or nothing."""
    interest = case((_TRAJECTORIES.c.success.is_(False), 0), (_TRAJECTORIES.c.success.is_(None), 1), else_=2)
    query = (
        select(_TRAJECTORIES.c.id)
        .where(_TRAJECTORIES.c.campaign_id == campaign_id, _TRAJECTORIES.c.attempts > 0)
        .order_by(interest, _TRAJECTORIES.c.id)
        .limit(1)
    )
    return connection.scalar(query) or ""


def _last_attempts(campaign_id: str) -> Subquery:
    """The last attempt that has ended of each trajectory."""
    return (
        select(_OUTCOMES.c.task_run_id, func.max(_OUTCOMES.c.attempt).label("attempt"))
        .where(_OUTCOMES.c.campaign_id == campaign_id)
        .group_by(_OUTCOMES.c.task_run_id)
        .subquery()
    )


def _last_kind() -> ColumnElement[str]:
    """A trajectory's outcome, or the fault that ended its last attempt.

    The outcome of an attempt before the trajectory was opened again no longer counts; until the next, there is none.
    """
    return func.coalesce(_TRAJECTORIES.c.outcome, case((_OUTCOMES.c.kind.in_(_RETRIED), _OUTCOMES.c.kind), else_=None))


def _planners(connection: Connection, campaign_id: str) -> dict[str, PlannerReport]:
    outcomes: dict[str, dict[str | None, int]] = {}
    label, counts_here = counted(connection, campaign_id)
    for planner, kind, count in connection.execute(_outcome_counts(campaign_id, label, counts_here)):
        outcomes.setdefault(planner, {})[kind] = count
    seconds: dict[str, float] = dict(
        connection.execute(
            select(label, func.sum(_OUTCOMES.c.seconds))
            .join(_OUTCOMES, same_trajectory(_OUTCOMES))
            .where(_TRAJECTORIES.c.campaign_id == campaign_id, counts_here)
            .group_by(label)
        ).all()
    )
    asked = _questions(connection, campaign_id, label)
    return {
        planner: _planner(counts, seconds.get(planner, 0.0), *asked.get(planner, (0, 0)))
        for planner, counts in sorted(outcomes.items())
    }


def _questions(connection: Connection, campaign_id: str, label: ColumnElement[str]) -> dict[str, tuple[int, int]]:
    """How many questions each planner's attempts asked, and how many of them were answered before."""
    query = (
        select(label, func.count(), func.sum(cast(_CALLS.c.reused, Integer)))
        .join(_CALLS, same_trajectory(_CALLS))
        .where(_TRAJECTORIES.c.campaign_id == campaign_id)
        .group_by(label)
    )
    return {planner: (questions, replayed) for planner, questions, replayed in connection.execute(query)}


def _outcome_counts(
    campaign_id: str, label: ColumnElement[str], counts_here: ColumnElement[bool]
) -> Select[str, str | None, int]:
    """Label of the planner, outcome (the last attempt's while a trajectory is open, None before any ended), number of
    trajectories."""
    last, kind = _last_attempts(campaign_id), _last_kind()
    return (
        select(label, kind, func.count())
        .outerjoin(last, last.c.task_run_id == _TRAJECTORIES.c.id)
        .outerjoin(
            _OUTCOMES,
            same_trajectory(_OUTCOMES) & (_OUTCOMES.c.attempt == last.c.attempt),
        )
        .where(_TRAJECTORIES.c.campaign_id == campaign_id, counts_here)
        .group_by(label, kind)
        .order_by(label, kind)
    )


def _planner(counts: dict[str | None, int], seconds: float, questions: int, replayed: int) -> PlannerReport:
    kinds = {OutcomeKind(kind): count for kind, count in counts.items() if kind is not None}
    return PlannerReport(
        passed=sum(count for kind, count in kinds.items() if kind.passed),
        unconfirmed=kinds.get(OutcomeKind.PASSED_UNCONFIRMED, 0),
        failed=sum(count for kind, count in kinds.items() if kind.failed),
        infrastructure=sum(count for kind, count in kinds.items() if not kind.final),
        open=counts.get(None, 0),
        outcomes={kind.value: count for kind, count in sorted(kinds.items())},
        seconds=round(seconds, 3),
        questions=questions,
        replayed=replayed,
    )


def _seconds_between(start: datetime, end: datetime | None) -> float:
    return 0.0 if end is None else round(max(0.0, (end - start).total_seconds()), 3)


def _known_names(connection: Connection) -> str:
    names = connection.scalars(select(_CAMPAIGN_RUNS.c.name).distinct().order_by(_CAMPAIGN_RUNS.c.name).limit(10)).all()
    return f"known: {', '.join(names)}" if names else "no campaign was run yet"
