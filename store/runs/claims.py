"""Claims on trajectories: which of a campaign's processes makes the next attempt at one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, select

from store.leases import LEASES, held, take
from store.tables import OutcomeRow, TaskRun, same_trajectory, table_of

_TRAJECTORIES, _OUTCOMES = table_of(TaskRun), table_of(OutcomeRow)


@dataclass
class Claims:
    """The result of a claim, by keys of trajectories.

    `taken`: leased to this process now. `closed`: an outcome is stored. `ended`: another process has made an attempt
    since, which ended in a fault. `held`: another process is working on it. What is in none of these is still free.
    """

    taken: list[str] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)


def claim_trajectories(connection: Connection, known: Mapping[str, int], most: int) -> Claims:
    """Lease at most `most` of the open trajectories in `known`, in its order, within the caller's transaction.

    `known` maps keys to the number of attempts that the caller knows of. A trajectory on which another process has
    begun a later one is taken only if that process died in it. On PostgreSQL the rows are locked with SKIP LOCKED, so
    that claimers do not wait for each other; SQLite has one writer at a time.
    """
    lease_in_force = and_(LEASES.c.name == _TRAJECTORIES.c.id, held(connection))
    query = (
        select(
            _TRAJECTORIES.c.id,
            _TRAJECTORIES.c.attempts,
            _TRAJECTORIES.c.closed_at,
            LEASES.c.holder,
            _OUTCOMES.c.kind,
        )
        .outerjoin(LEASES, lease_in_force)
        .outerjoin(_OUTCOMES, same_trajectory(_OUTCOMES) & (_OUTCOMES.c.attempt == _TRAJECTORIES.c.attempts))
        .where(_TRAJECTORIES.c.id.in_(list(known)))
        .with_for_update(of=_TRAJECTORIES, skip_locked=True)
    )
    found = {row["id"]: row for row in connection.execute(query).mappings()}
    claims, free = Claims(), list[str]()
    for key, attempts in known.items():
        row = found.get(key)
        if row is None:  # being claimed at this moment
            claims.held.add(key)
        elif row["closed_at"] is not None:
            claims.closed.add(key)
        elif row["holder"] is not None:
            claims.held.add(key)
        elif row["attempts"] > attempts and row["kind"] is not None:
            claims.ended.add(key)
        else:
            free.append(key)
    taken = take(connection, free[:most])
    claims.taken = [key for key in free[:most] if key in taken]
    claims.held.update(key for key in free[:most] if key not in taken)
    return claims
