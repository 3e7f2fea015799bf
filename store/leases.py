"""Leases between processes, by compare-and-set in the database.

A lease is on a name, until a time by the database's own clock, so that the clocks of machines do not matter. Its holder
renews it while it lives. It falls free when its time is over, or at once when its holder was on this machine and is
dead. One that ends later than any lease that is taken now was taken before the clock was set back (after a power cut,
on a machine whose clock did not survive it): it is free as well, for its holder has not renewed it since. A holder that
outlives its lease may go on: what it stores is keyed by content or attempt, and is kept once.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from host.processes import is_dead, this_process
from models.errors import DatabaseError
from store.database import chunks, reading
from store.tables import Lease, table_of, utc_now

LEASE_SECONDS = 60.0
"""How long a lease holds after it was taken or renewed."""
RENEW_SECONDS = 15.0
"""How often a holder renews its leases."""

LEASES = table_of(Lease)


def database_time(connection: Connection) -> datetime:
    """The time by the database's clock; on SQLite, this machine's."""
    if connection.dialect.name == "sqlite":
        return utc_now()
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return now


def dead_holders(connection: Connection) -> list[str]:
    """Holders of leases that have certainly died."""
    return [holder for holder in connection.scalars(select(LEASES.c.holder).distinct()) if is_dead(holder)]


def take(connection: Connection, names: Collection[str], seconds: float = LEASE_SECONDS) -> set[str]:
    """Take the leases on those of `names` that are free, within the caller's transaction; returns those taken.

    A lease of this process counts as held, too: leases are not re-entrant.
    """
    if not names:
        return set()
    now, holder = database_time(connection), this_process()
    beyond = now + timedelta(seconds=seconds + LEASE_SECONDS)
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = {"holder": holder, "expires_at": now + timedelta(seconds=seconds)}
    free = or_(LEASES.c.expires_at <= now, LEASES.c.expires_at > beyond, LEASES.c.holder.in_(dead_holders(connection)))
    statement = (
        insert(LEASES)
        .values([{"name": name, **row} for name in sorted(names)])  # in one order: two takers cannot deadlock
        .on_conflict_do_update(index_elements=[LEASES.c.name], set_=row, where=free)
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
        now = database_time(connection)
        for part in chunks(names):
            query = select(LEASES.c.name, LEASES.c.holder).where(LEASES.c.name.in_(part), LEASES.c.expires_at > now)
            found.update(connection.execute(query).all())
    return {name: holder for name, holder in found.items() if not is_dead(holder)}


def in_force(engine: Engine) -> list[str]:
    """The holders of leases that have not run out and that are not known to be dead."""
    with reading(engine) as connection:
        now = database_time(connection)
        query = select(LEASES.c.holder).distinct().where(LEASES.c.expires_at > now)
        return sorted(holder for holder in connection.scalars(query) if not is_dead(holder))


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
