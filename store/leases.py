"""Leases between processes, by compare-and-set in the database.

A lease is on a name, until a time by the database's own clock, so that the clocks of machines do not matter. Its holder
renews it while it lives. It falls free when its time is over, or at once when its holder was on this machine and is
dead. One that ends later than any lease that is taken now was taken before the clock was set back (after a power cut,
on a machine whose clock did not survive it): it is free as well, for its holder has not renewed it since, unless that
is a process that runs on this machine, which is about to. A holder that outlives its lease may go on: what it stores is
keyed by content or attempt, and is kept once.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, not_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from host.processes import is_alive, is_dead, this_process
from models.errors import DatabaseError
from store.database import chunks, reading
from store.tables import Lease, table_of, utc_now

LEASE_SECONDS = 60.0
"""How long a lease holds after it was taken or renewed."""
RENEW_SECONDS = 15.0
"""How often a holder renews its leases."""

_LONGEST = 660.0
"""Seconds after which every lease that is taken or renewed now has ended: a later end is of another time."""

LEASES = table_of(Lease)


def database_time(connection: Connection) -> datetime:
    """The time by the database's clock; on SQLite, this machine's."""
    if connection.dialect.name == "sqlite":
        return utc_now()
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now


def held(connection: Connection) -> ColumnElement[bool]:
    """The condition that a lease is in force now."""
    now = database_time(connection)
    holders = list(connection.scalars(select(LEASES.c.holder).distinct()))
    alive, dead = [each for each in holders if is_alive(each)], [each for each in holders if is_dead(each)]
    from_this_time = LEASES.c.expires_at <= now + timedelta(seconds=_LONGEST)
    return and_(
        LEASES.c.expires_at > now, LEASES.c.holder.not_in(dead), or_(from_this_time, LEASES.c.holder.in_(alive))
    )


def take(connection: Connection, names: Collection[str], seconds: float = LEASE_SECONDS) -> set[str]:
    """Take the leases on those of `names` that are free, within the caller's transaction; returns those taken.

    `seconds` are 600 at most. A lease of this process counts as held, too: leases are not re-entrant.
    """
    if not names:
        return set()
    now, holder = database_time(connection), this_process()
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = {"holder": holder, "expires_at": now + timedelta(seconds=seconds)}
    statement = (
        insert(LEASES)
        .values([{"name": name, **row} for name in sorted(names)])  # in one order: two takers cannot deadlock
        .on_conflict_do_update(index_elements=[LEASES.c.name], set_=row, where=not_(held(connection)))
        .returning(LEASES.c.name)
    )
    return set(connection.scalars(statement))


def give_back(connection: Connection, names: Iterable[str]) -> None:
    """Delete this process's leases on `names`, within the caller's transaction."""
    connection.execute(delete(LEASES).where(LEASES.c.name.in_(list(names)), LEASES.c.holder == this_process()))


def renew(engine: Engine, seconds: float = LEASE_SECONDS) -> int:
    """Renew all leases of this process; returns their number. One that another process has taken is not touched."""
    with engine.begin() as connection:
        until = database_time(connection) + timedelta(seconds=seconds)
        return connection.execute(
            update(LEASES).where(LEASES.c.holder == this_process()).values(expires_at=until)
        ).rowcount


def live_holders(engine: Engine, names: Collection[str]) -> dict[str, str]:
    """The holders of the leases in force among `names`."""
    found: dict[str, str] = {}
    with reading(engine) as connection:
        in_force_now = held(connection)
        for part in chunks(names):
            query = select(LEASES.c.name, LEASES.c.holder).where(LEASES.c.name.in_(part), in_force_now)
            found.update(connection.execute(query).all())
    return found


def in_force(engine: Engine) -> list[str]:
    """The holders of leases in force."""
    with reading(engine) as connection:
        return sorted(connection.scalars(select(LEASES.c.holder).distinct().where(held(connection))))


@contextmanager
def renewing(engine: Engine, every: float = RENEW_SECONDS) -> Iterator[None]:
    """Within this context, a thread renews the leases of this process, whatever else it waits for."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(every):
            try:
                renew(engine)
            except DatabaseError as error:  # away; leases fall free meanwhile, and what is stored later is kept once
                logging.getLogger(__name__).warning("leases were not renewed: %s", error)

    thread = threading.Thread(target=keep, name="leases", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
