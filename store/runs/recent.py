"""The latest runs of campaigns, with how far each campaign is."""

from datetime import datetime

from sqlalchemy import Engine, func, select

from models.plans import Frozen
from store.database import reading
from store.tables import CampaignRun, TaskRun, table_of

_RUNS, _TRAJECTORIES = table_of(CampaignRun), table_of(TaskRun)


class CampaignLine(Frozen):
    """A campaign that ran lately. `known` are the trajectories that some run has begun."""

    name: str
    started_at: datetime
    known: int
    closed: int
    passed: int


def recent_campaigns(engine: Engine, limit: int) -> list[CampaignLine]:
    """The campaigns that were started last, latest first, each label once."""
    last = func.max(_RUNS.c.started_at).label("last")
    runs = select(_RUNS.c.name, _RUNS.c.campaign_id, last).group_by(_RUNS.c.name, _RUNS.c.campaign_id)
    counts = select(
        func.count(), func.count(_TRAJECTORIES.c.closed_at), func.count().filter(_TRAJECTORIES.c.success.is_(True))
    )
    lines: dict[str, CampaignLine] = {}
    with reading(engine) as connection:
        for name, campaign, started in connection.execute(runs.order_by(last.desc())):
            if name in lines:
                continue
            known, closed, passed = connection.execute(counts.where(_TRAJECTORIES.c.campaign_id == campaign)).one()
            lines[name] = CampaignLine(name=name, started_at=started, known=known, closed=closed, passed=passed)
            if len(lines) == limit:
                break
    return list(lines.values())
