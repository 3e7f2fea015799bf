"""Trajectories of an earlier model: a campaign goes on under its name when the model of a planner changes."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, true

from store.tables import OutcomeRow, TaskRun, same_trajectory, table_of

_TRAJECTORIES, _OUTCOMES = table_of(TaskRun), table_of(OutcomeRow)
_SHOWN = 8  # digits of an identity


def earlier_identities(connection: Connection, campaign_id: str) -> Mapping[str, set[str]]:
    """The identities (hashes) of each planner in a campaign besides the one that was worked with last."""
    ended = (
        select(_TRAJECTORIES.c.planner, _TRAJECTORIES.c.planner_hash, func.max(_OUTCOMES.c.created_at).label("at"))
        .join(_OUTCOMES, same_trajectory(_OUTCOMES))
        .where(_TRAJECTORIES.c.campaign_id == campaign_id)
        .group_by(_TRAJECTORIES.c.planner, _TRAJECTORIES.c.planner_hash)
    )
    opened = (
        select(_TRAJECTORIES.c.planner, _TRAJECTORIES.c.planner_hash, func.max(_TRAJECTORIES.c.opened_at).label("at"))
        .where(_TRAJECTORIES.c.campaign_id == campaign_id)
        .group_by(_TRAJECTORIES.c.planner, _TRAJECTORIES.c.planner_hash)
    )
    last: dict[str, dict[str, datetime]] = {}
    for query in (opened, ended):
        for planner, identity, at in connection.execute(query):
            known = last.setdefault(planner, {})
            known[identity] = max(known.get(identity, at), at)
    found = {}
    for planner, times in last.items():
        newest = max(sorted(times), key=times.__getitem__)
        if earlier := times.keys() - {newest}:
            found[planner] = earlier
    return found


def counted(connection: Connection, campaign_id: str) -> tuple[ColumnElement[str], ColumnElement[bool]]:
    """The label of a trajectory's planner, and whether the trajectory counts.

    What an earlier model left open is never worked on again and does not count; what it closed has a label of its own.
    """
    earlier = earlier_identities(connection, campaign_id)
    if not earlier:
        return _TRAJECTORIES.c.planner, true()
    labels = [
        (_is(planner, identity), f"{planner} (earlier: {identity[:_SHOWN]})")
        for planner, identities in sorted(earlier.items())
        for identity in sorted(identities)
    ]
    superseded = or_(*(condition for condition, _ in labels))
    return case(*labels, else_=_TRAJECTORIES.c.planner), or_(_TRAJECTORIES.c.closed_at.is_not(None), ~superseded)


def _is(planner: str, identity: str) -> ColumnElement[bool]:
    return and_(_TRAJECTORIES.c.planner == planner, _TRAJECTORIES.c.planner_hash == identity)
