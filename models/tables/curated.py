"""Curated: verified configuration that the pipeline reads at run time."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, UniqueConstraint, column
from sqlmodel import Field

from models.tables.base import CuratedTable, FreeText, UtcDateTime, utc_now


class AdapterMetadata(CuratedTable, table=True):
    """A trained adapter, `{stage}-v{version}`, by the hash of its weights. At most one per stage is active.

    Rows are never deleted; promotion and rollback move `active`. `metrics` is the snapshot that the gate saw.
    """

    __tablename__ = "adapter_metadata"
    __table_args__ = (
        UniqueConstraint("stage", "version", name="uq_adapter_metadata_stage_version"),
        Index(
            "uq_adapter_metadata_active_stage",
            "stage",
            unique=True,
            sqlite_where=column("active"),
            postgresql_where=column("active"),
        ),
    )

    id: str = Field(primary_key=True)
    stage: str
    version: int
    base: str
    path: str = Field(sa_type=FreeText)
    metrics: dict[str, Any] = Field(sa_type=JSON)
    active: bool = False
    trained_at: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
