"""Queries of the raw database: reports, traces, and triples for comparing two runs of a campaign."""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Engine, select

from models.protocols import Stage
from store.database import reading
from store.runs.events import Trace
from store.runs.exports import (
    ExportedTrajectory,
    ExportGroup,
    content_key,
    read_exported,
    read_groups,
    read_patches,
)
from store.runs.progress import ProgressLine, mean_seconds, read_progress
from store.runs.replays import Replays, Tokens, asked_by_stage, closed_by_runner, stored_replays
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

    def asked_so_far(self) -> tuple[dict[str, dict[Stage, Tokens]], dict[str, int]]:
        """Tokens of the questions in all closed trajectories, replayed answers included, by planner and stage; and the
        number of closed trajectories of each planner that was ever run."""
        with reading(self._engine) as connection:
            return asked_by_stage(connection), closed_by_runner(connection)

    def replays(self, identity: str, instances: Collection[str]) -> Replays:
        """The stored answers that a planner of an identity would find at some instances (their keys)."""
        with reading(self._engine) as connection:
            return stored_replays(connection, identity, instances)

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

    def export_groups(self, name: str) -> list[ExportGroup]:
        """Planners of the campaign that last ran under a label. Raises UsageError for a label never used."""
        with reading(self._engine) as connection:
            return read_groups(connection, name)

    def exported(self, group: ExportGroup, *, prompts: bool = True) -> Iterator[ExportedTrajectory]:
        """The begun trajectories of a planner with all their evidence; one is held in memory at a time."""
        with reading(self._engine) as connection:
            yield from read_exported(connection, group, prompts=prompts)

    def patches(self, group: ExportGroup) -> Iterator[tuple[str, float, int, str]]:
        """Instance, temperature, sample index and patch of a planner's closed trajectories."""
        with reading(self._engine) as connection:
            yield from read_patches(connection, group)

    def content_key(self, name: str) -> str:
        """A key that changes when anything is stored about a campaign. Raises UsageError for a label never used."""
        with reading(self._engine) as connection:
            return content_key(connection, name)
