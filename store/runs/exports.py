"""A campaign's trajectories for export: by planner, each with all its evidence, read one at a time."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select
from sqlmodel import SQLModel

from models.manifest import Instance
from models.plans import Frozen
from models.suite import SuiteReport
from store.keys import digest
from store.runs.events import Trace
from store.runs.report import latest_run
from store.runs.trace import read_trace
from store.tables import (
    AttributionRow,
    EditRow,
    InstanceRow,
    OutcomeRow,
    PlanRow,
    RetrievalDecision,
    RetrievalLlmCall,
    TaskRun,
    TestRun,
    table_of,
)
from store.texts import read_texts

_TRAJECTORIES, _INSTANCES = table_of(TaskRun), table_of(InstanceRow)
_EVIDENCE: tuple[type[SQLModel], ...] = (
    RetrievalLlmCall, RetrievalDecision, PlanRow, EditRow, TestRun, OutcomeRow, AttributionRow,
)  # fmt: skip
_AHEAD = 200
_ODD = re.compile(r"[^A-Za-z0-9._@+-]")
Condition = tuple[float, int]
"""Temperature and sample index."""


class ExportGroup(Frozen):
    """The trajectories of one planner in a campaign.

    `conditions` are the pairs of temperature and sample index, in order. Of the `total` trajectories, `begun` have an
    attempt and `closed` have a verdict.
    """

    campaign: str
    name: str
    started_at: datetime
    planner: str
    conditions: tuple[Condition, ...]
    total: int
    begun: int
    closed: int


class ExportedTrajectory(Frozen):
    """A trajectory with its evidence. `label` is its instance's, made unique in the campaign and fit for a file name.

    `reports` are the reports of its test runs by hash.
    """

    label: str
    task: str
    fail_to_pass: tuple[str, ...]
    trace: Trace
    reports: dict[str, SuiteReport]


def read_groups(connection: Connection, name: str) -> list[ExportGroup]:
    """Planners of the campaign that last ran under a label, in order of their names.

    Raises UsageError for a label never used.
    """
    run = latest_run(connection, name)
    by = (_TRAJECTORIES.c.planner, _TRAJECTORIES.c.temperature, _TRAJECTORIES.c.sample)
    query = (
        select(
            *by,
            func.count().label("total"),
            func.count().filter(_TRAJECTORIES.c.attempts > 0).label("begun"),
            func.count(_TRAJECTORIES.c.closed_at).label("closed"),
        )
        .where(_TRAJECTORIES.c.campaign_id == run["campaign_id"])
        .group_by(*by)
    )
    groups: dict[str, list[RowMapping]] = {}
    for row in connection.execute(query).mappings():
        groups.setdefault(row["planner"], []).append(row)
    return [
        ExportGroup(
            campaign=run["campaign_id"],
            name=name,
            started_at=run["started_at"],
            planner=planner,
            conditions=tuple(sorted((row["temperature"], row["sample"]) for row in rows)),
            total=sum(row["total"] for row in rows),
            begun=sum(row["begun"] for row in rows),
            closed=sum(row["closed"] for row in rows),
        )
        for planner, rows in sorted(groups.items())
    ]


def read_exported(connection: Connection, group: ExportGroup, *, prompts: bool) -> Iterator[ExportedTrajectory]:
    """Trajectories of a group that have an attempt, by instance, temperature and sample.

    One is held in memory at a time; `prompts` includes the texts of prompts.
    """
    instances = (_INSTANCES.c.id.label("instance"), _INSTANCES.c.instance_id, _INSTANCES.c.spec_hash)
    # The same planner by name may have run with other models, and an instance's label may be that of two versions.
    same = (_INSTANCES.c.instance_id, _TRAJECTORIES.c.temperature, _TRAJECTORIES.c.sample)
    alike = func.count().over(partition_by=same).label("alike")
    rows = connection.execution_options(yield_per=_AHEAD).execute(_of(group, _TRAJECTORIES.c.id, alike, *instances))
    for row in rows.mappings():
        trace = read_trace(connection, row["id"], prompts=prompts)
        spec = Instance.model_validate_json(read_texts(connection, [row["spec_hash"]])[row["spec_hash"]])
        yield ExportedTrajectory(
            label=_label(row["instance_id"], row["id"], unique=row["alike"] == 1),
            task=spec.task,
            fail_to_pass=spec.fail_to_pass,
            trace=trace,
            reports=_reports(connection, trace),
        )


def read_patches(connection: Connection, group: ExportGroup) -> Iterator[tuple[str, float, int, str]]:
    """Instance, temperature, sample index and patch of a group's closed trajectories, in that order."""
    outcomes = table_of(OutcomeRow)
    query = (
        _of(
            group,
            _INSTANCES.c.instance_id,
            _TRAJECTORIES.c.temperature,
            _TRAJECTORIES.c.sample,
            outcomes.c.patch_hash,
        )
        .join(
            outcomes,
            (outcomes.c.campaign_id == _TRAJECTORIES.c.campaign_id)
            & (outcomes.c.task_run_id == _TRAJECTORIES.c.id)
            & (outcomes.c.attempt == _TRAJECTORIES.c.closed_attempt),
        )
        .where(_TRAJECTORIES.c.closed_at.is_not(None))
    )
    for instance, temperature, sample, patch in connection.execution_options(yield_per=_AHEAD).execute(query):
        yield instance, temperature, sample, read_texts(connection, [patch])[patch]


def content_key(connection: Connection, name: str) -> str:
    """A key of all that is stored about a campaign: rows are only added, so it changes when one is.

    Raises UsageError for a label never used.
    """
    run = latest_run(connection, name)
    counts: list[int | None] = []
    for model in _EVIDENCE:
        table = table_of(model)
        counted = select(func.count()).select_from(table).where(table.c.campaign_id == run["campaign_id"])
        counts.append(connection.scalar(counted))
    begun = (
        select(func.count(), func.count(_TRAJECTORIES.c.closed_at), func.sum(_TRAJECTORIES.c.attempts))
        .select_from(_TRAJECTORIES)
        .where(_TRAJECTORIES.c.campaign_id == run["campaign_id"])
    )
    return digest("export", run["campaign_id"], name, run["id"], counts, list(connection.execute(begun).one()))


def _of(group: ExportGroup, *columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(_TRAJECTORIES)
        .join(_INSTANCES, _INSTANCES.c.id == _TRAJECTORIES.c.instance_id)
        .where(
            _TRAJECTORIES.c.campaign_id == group.campaign,
            _TRAJECTORIES.c.planner == group.planner,
            _TRAJECTORIES.c.attempts > 0,
        )
        .order_by(
            _INSTANCES.c.instance_id,
            _INSTANCES.c.id,
            _TRAJECTORIES.c.temperature,
            _TRAJECTORIES.c.sample,
            _TRAJECTORIES.c.id,
        )
    )


def _label(name: str, trajectory: str, *, unique: bool) -> str:
    fit = _ODD.sub("_", name)
    return fit if unique and fit == name else f"{fit}-{trajectory[:8]}"


def _reports(connection: Connection, trace: Trace) -> dict[str, SuiteReport]:
    hashes = {event.report_hash for event in trace.events if event.event == "tests"}
    hashes |= {outcome.report_hash for outcome in trace.outcomes if outcome.report_hash}
    return {key: SuiteReport.model_validate_json(text) for key, text in read_texts(connection, hashes).items()}
