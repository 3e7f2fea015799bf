"""Queries of the raw database: reports, traces, and triples for comparing two runs of a campaign."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, select

from store.database import reading
from store.runs.events import Trace
from store.runs.progress import ProgressLine, mean_seconds, read_progress
from store.runs.report import CampaignReport, TrajectoryLine, read_report, read_trajectories
from store.runs.trace import read_trace
from store.runs.triples import Triple, read_triples
from store.runs.usage import StageUse, Usage, closed_by_planner, closed_in_all, read_stages, read_usage
from store.tables import Campaign, table_of


class RawReader:
    """The reading half of the raw store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """The database itself, for queries that this class does not offer."""
        return self._engine

    def report(self, name: str) -> CampaignReport:
        """Progress of the campaign that last ran under a label. Raises UsageError for a label never used."""
        with reading(self._engine) as connection:
            return read_report(connection, name)

    def progress(self, campaign_id: str) -> list[ProgressLine]:
        """Progress of a campaign by repository and planner, each trajectory counted once."""
        with reading(self._engine) as connection:
            return read_progress(connection, campaign_id)

    def mean_seconds(self) -> dict[str, float]:
        """The mean duration in seconds of closed trajectories, by planner."""
        with reading(self._engine) as connection:
            return mean_seconds(connection)

    def campaign_config(self, campaign_id: str) -> dict[str, Any]:
        """The configuration of a campaign; empty for an unknown one."""
        campaigns = table_of(Campaign)
        with reading(self._engine) as connection:
            return connection.scalar(select(campaigns.c.config).where(campaigns.c.id == campaign_id)) or {}

    def usage(self, name: str) -> Usage:
        """Calls and cost of the campaign that last ran under a label, and the outcome of each trajectory."""
        with reading(self._engine) as connection:
            return read_usage(connection, name)

    def usage_so_far(self) -> tuple[list[StageUse], dict[str, int]]:
        """Calls in all campaigns, by planner and stage, and the number of closed trajectories by planner."""
        with reading(self._engine) as connection:
            return read_stages(connection, None), closed_in_all(connection)

    def closed_by_planner(self, campaign_id: str) -> dict[str, int]:
        """The number of closed trajectories of a campaign, by planner; empty for one that was never run."""
        with reading(self._engine) as connection:
            return closed_by_planner(connection, campaign_id)

    def trajectories(self, name: str, limit: int) -> list[TrajectoryLine]:
        """Trajectories of the campaign that last ran under a label, those that did not pass first."""
        with reading(self._engine) as connection:
            return read_trajectories(connection, name, limit)

    def trace(self, prefix: str, *, prompts: bool = False) -> Trace:
        """All evidence of one trajectory; the texts of prompts, which are long, only on request.

        Raises UsageError if none, or more than one, begins with `prefix`.
        """
        with reading(self._engine) as connection:
            return read_trace(connection, prefix, prompts=prompts)

    def triples(self, campaign_id: str) -> Iterator[Triple]:
        """(context, plan, outcome) of each closed trajectory of a campaign, in key order, free of times."""
        with reading(self._engine) as connection:
            yield from read_triples(connection, campaign_id)
