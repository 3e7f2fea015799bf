"""Trajectories of an earlier model: a campaign goes on under its name when the model of a planner changes."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, true

from store.tables import OutcomeRow, TaskRun, same_trajectory, table_of

_TRAJECTORIES, _OUTCOMES = table_of(TaskRun), table_of(OutcomeRow)
_SHOWN = 8  # digits of an identity


def earlier_identities(connection: Connection, campaign_id: str) -> Mapping[str, set[str]]:
    """The identities (hashes) of each planner in a campaign that another one took the place of.

    That one has worked on an instance of theirs, and was worked with later. A planner may well have an identity for
    each instance: these do not take each other's place.
    """
    shared = _shared(connection, campaign_id)
    if not shared:
        return {}
    last = _last_worked_with(connection, campaign_id)
    found: dict[str, set[str]] = {}
    for planner, identities in shared:
        newest = max(sorted(identities), key=lambda identity: last[planner, identity])
        found.setdefault(planner, set()).update(identities - {newest})
    return found


def _shared(connection: Connection, campaign_id: str) -> list[tuple[str, set[str]]]:
    """The identities on each instance on which a planner has several, with the planner."""
    place = _TRAJECTORIES.c.planner, _TRAJECTORIES.c.instance_id
    several = (
        select(*place)
        .where(_TRAJECTORIES.c.campaign_id == campaign_id)
        .group_by(*place)
        .having(func.count(_TRAJECTORIES.c.planner_hash.distinct()) > 1)
        .subquery()
    )
    query = (
        select(*place, _TRAJECTORIES.c.planner_hash)
        .join(several, (several.c.planner == place[0]) & (several.c.instance_id == place[1]))
        .where(_TRAJECTORIES.c.campaign_id == campaign_id)
        .distinct()
    )
    found: dict[tuple[str, str], set[str]] = {}
    for planner, instance, identity in connection.execute(query):
        found.setdefault((planner, instance), set()).add(identity)
    return [(planner, identities) for (planner, _), identities in sorted(found.items())]


def _last_worked_with(connection: Connection, campaign_id: str) -> dict[tuple[str, str], datetime]:
    """When each planner's identities last opened a trajectory, or ended an attempt."""
    columns = _TRAJECTORIES.c.planner, _TRAJECTORIES.c.planner_hash
    opened = select(*columns, func.max(_TRAJECTORIES.c.opened_at)).where(_TRAJECTORIES.c.campaign_id == campaign_id)
    ended = (
        select(*columns, func.max(_OUTCOMES.c.created_at))
        .join(_OUTCOMES, same_trajectory(_OUTCOMES))
        .where(_TRAJECTORIES.c.campaign_id == campaign_id)
    )
    last: dict[tuple[str, str], datetime] = {}
    for query in (opened, ended):
        for planner, identity, at in connection.execute(query.group_by(*columns)):
            last[planner, identity] = max(last.get((planner, identity), at), at)
    return last


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
