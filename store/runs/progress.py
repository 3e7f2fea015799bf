"""Progress of a campaign by repository and planner, for a table that people watch."""

from pydantic import Field
from sqlalchemy import Connection, func, select

from models.outcomes import OutcomeKind
from models.plans import Frozen
from store.runs.superseded import counted
from store.tables import InstanceRow, OutcomeRow, TaskRun, same_attempt, same_trajectory, table_of

_TRAJECTORIES, _OUTCOMES, _INSTANCES = table_of(TaskRun), table_of(OutcomeRow), table_of(InstanceRow)


class ProgressLine(Frozen):
    """The trajectories of one planner on one repository, each counted once.

    `outcomes` counts those that are closed, or whose last attempt ended in a fault; `open` the rest.
    """

    repository: str
    planner: str
    outcomes: dict[OutcomeKind, int] = Field(default_factory=dict)
    open: int = 0


def read_progress(connection: Connection, campaign_id: str) -> list[ProgressLine]:
    """A campaign's progress, by repository and planner."""
    kind = func.coalesce(_TRAJECTORIES.c.outcome, _OUTCOMES.c.kind)
    label, counts_here = counted(connection, campaign_id)
    groups = (_INSTANCES.c.repository, label, _TRAJECTORIES.c.closed_at.is_(None), kind)
    query = (
        select(*groups, func.count())
        .join(_INSTANCES, _INSTANCES.c.id == _TRAJECTORIES.c.instance_id)
        .outerjoin(
            _OUTCOMES,
            same_trajectory(_OUTCOMES)
            & _TRAJECTORIES.c.closed_at.is_(None)
            & (_OUTCOMES.c.attempt == _TRAJECTORIES.c.attempts),
        )
        .where(_TRAJECTORIES.c.campaign_id == campaign_id, counts_here)
        .group_by(*groups)
    )
    lines: dict[tuple[str, str], ProgressLine] = {}
    for repository, planner, is_open, name, count in connection.execute(query):
        line = lines.get((repository, planner), ProgressLine(repository=repository, planner=planner))
        found = OutcomeKind(name) if name is not None else None
        if found is None or (is_open and found.final):  # begun and not ended, or opened again
            line = line.model_copy(update={"open": line.open + count})
        else:
            line = line.model_copy(update={"outcomes": {**line.outcomes, found: line.outcomes.get(found, 0) + count}})
        lines[repository, planner] = line
    return [
        line.model_copy(update={"outcomes": dict(sorted(line.outcomes.items()))}) for _, line in sorted(lines.items())
    ]


def mean_seconds(connection: Connection) -> dict[str, float]:
    """The mean duration in seconds of the attempts that closed trajectories, by planner."""
    query = (
        select(_TRAJECTORIES.c.planner, func.avg(_OUTCOMES.c.seconds))
        .join(_OUTCOMES, same_attempt(_OUTCOMES))
        .group_by(_TRAJECTORIES.c.planner)
    )
    return dict(connection.execute(query).all())
