"""Raw: datasets and configurations of trainings, stored with the runs that they come from.

`sequence` is the order in which rows were stored, whatever the clock said.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from store.tables.base import RawTable, UtcDateTime, utc_now


class TrainingDataset(RawTable, table=True):
    """A dataset of one stage, by content. `source`: synthetic (from diffs), logged (own runs) or harness."""

    __tablename__ = "training_datasets"

    id: str = Field(primary_key=True)
    stage: str = Field(index=True)
    source: str = Field(index=True)
    examples: int
    config: dict[str, Any] = Field(sa_type=JSON)
    content_hash: str = Field(foreign_key="blobs.sha256")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    sequence: int | None = None


class TrainingPlan(RawTable, table=True):
    """The configuration of one training of one stage, by content: its base and every hyperparameter."""

    __tablename__ = "training_plans"

    id: str = Field(primary_key=True)
    stage: str = Field(index=True)
    source: str
    base: str
    dataset_id: str = Field(foreign_key="training_datasets.id", index=True)
    config: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    sequence: int | None = None
