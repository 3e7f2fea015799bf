"""Raw: campaigns, their runs, their trajectories, and how each attempt ended."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Index, Table
from sqlmodel import Field

from store.tables.base import FreeText, RawTable, UtcDateTime, of_task_run, table_of, utc_now


class Campaign(RawTable, table=True):
    """A campaign by its configuration: `id` is the hash of it."""

    __tablename__ = "campaigns"

    id: str = Field(primary_key=True)
    config: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class CampaignRun(RawTable, table=True):
    """One run of a campaign. `name` is a label: several runs, also of different campaigns, may have it.

    `packages` are the directories of the repo packages that the run read.
    """

    __tablename__ = "campaign_runs"
    __table_args__ = (Index("ix_campaign_runs_name_started_at", "name", "started_at"),)

    id: str = Field(primary_key=True)
    campaign_id: str = Field(foreign_key="campaigns.id", index=True)
    name: str
    flow_run_id: str
    packages: list[str] = Field(sa_type=JSON)
    started_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class TaskRun(RawTable, table=True):
    """A trajectory: one sample of one planner at one temperature on one instance.

    `attempts` counts the attempts begun. While it is open, `closed_at`, `closed_attempt`, `outcome` and
    `success` are empty; once it is closed the row never changes again, and only the
    evidence of `closed_attempt` counts.
    """

    __tablename__ = "task_runs"
    __table_args__ = (Index("ix_task_runs_id", "id"), {"sqlite_with_rowid": False})

    campaign_id: str = Field(primary_key=True, foreign_key="campaigns.id")
    id: str = Field(primary_key=True)
    instance_id: str = Field(foreign_key="instances.id", index=True)
    planner: str
    planner_hash: str = Field(foreign_key="blobs.sha256")
    temperature: float
    sample: int
    source: str = "harness"
    attempts: int = 0
    opened_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_attempt: int | None = None
    outcome: str | None = None
    success: bool | None = None


class ValidationRow(RawTable, table=True):
    """The verdict on a patch: `id` is the hash of instance, patch, environment and oracle, so each is reached
    once."""

    __tablename__ = "validations"

    id: str = Field(primary_key=True)
    instance_id: str = Field(foreign_key="instances.id", index=True)
    oracle: str
    kind: str
    seconds: float
    result_hash: str = Field(foreign_key="blobs.sha256")
    report_hash: str = Field(foreign_key="blobs.sha256")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class OutcomeRow(RawTable, table=True):
    """The outcome of one attempt.

    `alignment` holds numbers between 0 and 1, `seconds` is the attempt's wall time.
    """

    __tablename__ = "outcomes"
    __table_args__ = (of_task_run(), {"sqlite_with_rowid": False})

    campaign_id: str = Field(primary_key=True)
    task_run_id: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    kind: str = Field(index=True)
    blame: str
    oracle: str | None
    validation_id: str | None = Field(foreign_key="validations.id")
    patch_hash: str = Field(foreign_key="blobs.sha256")
    alignment: dict[str, float] | None = Field(sa_type=JSON)
    detail: str = Field(sa_type=FreeText)
    seconds: float
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


def same_trajectory(table: Table) -> ColumnElement[bool]:
    """The condition that joins a table of evidence, or of attempts, to its trajectories (`TaskRun`)."""
    runs = table_of(TaskRun)
    return (table.c.campaign_id == runs.c.campaign_id) & (table.c.task_run_id == runs.c.id)


def same_attempt(table: Table) -> ColumnElement[bool]:
    """The condition that joins the rows of the attempt that closed a trajectory to that trajectory."""
    return same_trajectory(table) & (table.c.attempt == table_of(TaskRun).c.closed_attempt)
