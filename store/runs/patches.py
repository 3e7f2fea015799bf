"""Closed trajectories of campaigns with the patches that they ended with."""

from collections.abc import Collection, Iterator

from sqlalchemy import Connection, select

from store.runs.closed_runs import ClosedRun, read_runs
from store.tables import OutcomeRow, table_of
from store.texts import read_texts

_OUTCOMES = table_of(OutcomeRow)


def read_closed_patches(connection: Connection, campaigns: Collection[str]) -> Iterator[tuple[ClosedRun, str]]:
    """The closed trajectories of campaigns (keys), in the order of their keys, each with its patch (empty: none)."""
    for run in [each for each in read_runs(connection) if each.campaign in campaigns]:
        query = select(_OUTCOMES.c.patch_hash).where(
            _OUTCOMES.c.campaign_id == run.campaign,
            _OUTCOMES.c.task_run_id == run.trajectory,
            _OUTCOMES.c.attempt == run.attempt,
        )
        found = connection.scalar(query)
        yield run, read_texts(connection, [found])[found] if found else ""
