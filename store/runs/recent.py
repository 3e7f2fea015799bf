"""The latest runs of campaigns, with how far each campaign is."""

from datetime import datetime

from sqlalchemy import Engine, func, select

from models.outcomes import OutcomeKind
from models.plans import Frozen
from models.protocols import FALLBACK
from store.database import reading
from store.leases import LEASES, database_time
from store.runs.superseded import counted
from store.tables import CampaignRun, RetrievalDecision, TaskRun, table_of

_RUNS, _TRAJECTORIES, _DECISIONS = table_of(CampaignRun), table_of(TaskRun), table_of(RetrievalDecision)


class CampaignLine(Frozen):
    """A campaign that ran lately: its trajectories; those with an attempt, closed, passed; and those worked on now.

    `fallbacks` counts, by stage, the answers of the generalist in place of the stage's own model.
    What no hidden test judged has not passed.
    """

    name: str
    started_at: datetime
    trajectories: int
    begun: int
    closed: int
    passed: int
    held: int
    fallbacks: dict[str, int]


def recent_campaigns(engine: Engine, limit: int) -> list[CampaignLine]:
    """The campaigns that were started last, latest first, each label once."""
    last = func.max(_RUNS.c.started_at).label("last")
    runs = select(_RUNS.c.name, _RUNS.c.campaign_id, last).group_by(_RUNS.c.name, _RUNS.c.campaign_id)
    counts = select(
        func.count(),
        func.count().filter(_TRAJECTORIES.c.attempts > 0),
        func.count(_TRAJECTORIES.c.closed_at),
        func.count().filter(_TRAJECTORIES.c.outcome == OutcomeKind.PASSED.value),
    )
    open_ones = select(LEASES.c.name).join(_TRAJECTORIES, _TRAJECTORIES.c.id == LEASES.c.name)
    fallbacks = select(_DECISIONS.c.stage, func.count()).where(_DECISIONS.c.decision == FALLBACK)
    fallbacks = fallbacks.group_by(_DECISIONS.c.stage).order_by(_DECISIONS.c.stage)
    lines: dict[str, CampaignLine] = {}
    with reading(engine) as connection:
        for name, campaign, started in connection.execute(runs.order_by(last.desc())):
            if name in lines:
                continue
            of_campaign = _TRAJECTORIES.c.campaign_id == campaign
            _, counts_here = counted(connection, campaign)
            total, begun, closed, passed = connection.execute(counts.where(of_campaign, counts_here)).one()
            leased = open_ones.where(of_campaign, LEASES.c.expires_at > database_time(connection))
            held = len(connection.execute(leased).all())
            fallen = connection.execute(fallbacks.where(_DECISIONS.c.campaign_id == campaign)).all()
            lines[name] = CampaignLine(
                name=name,
                started_at=started,
                trajectories=total,
                begun=begun,
                closed=closed,
                passed=passed,
                held=held,
                fallbacks=dict(fallen),
            )
            if len(lines) == limit:
                break
    return list(lines.values())
