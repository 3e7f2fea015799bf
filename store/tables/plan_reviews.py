"""Raw: what people made of plans."""

from datetime import datetime

from sqlmodel import Field

from store.tables.base import FreeText, RawTable, UtcDateTime, of_task_run, utc_now


class PlanReviewRow(RawTable, table=True):
    """A person's verdict (good, fine or bad) on the plan at a place of an attempt.

    Rows are never changed or deleted: of several on one plan the last counts.
    """

    __tablename__ = "plan_reviews"
    __table_args__ = (of_task_run(),)

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str = Field(index=True)
    task_run_id: str
    attempt: int
    plan_seq: int
    type: str
    verdict: str
    note: str = Field(sa_type=FreeText)
    reviewer: str = Field(sa_type=FreeText)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
