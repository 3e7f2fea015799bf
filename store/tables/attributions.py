"""Raw: the stage at fault in a failed attempt, found by experiment."""

from datetime import datetime

from sqlmodel import Field

from store.tables.base import FreeText, RawTable, UtcDateTime, of_task_run, utc_now


class AttributionRow(RawTable, table=True):
    """Which stage an attempt failed at, by experiment.

    `label` is retrieval, plan, code or undetermined, `reason` says why in a sentence. The evidence, with the keys of
    the verdicts it rests on, is a text. `version` is that of the method.
    """

    __tablename__ = "attributions"
    __table_args__ = (of_task_run(), {"sqlite_with_rowid": False})

    campaign_id: str = Field(primary_key=True)
    task_run_id: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    label: str = Field(index=True)
    reason: str = Field(sa_type=FreeText)
    version: int
    evidence_hash: str = Field(foreign_key="blobs.sha256")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
