"""Raw: coordination of processes on one campaign: leases, budgets, and the answers that all of them replay.

Leases and budgets are state of what runs now; answers, voids and reopenings are only ever added.
"""

from datetime import datetime

from sqlmodel import Field

from store.tables.base import FreeText, RawTable, UtcDateTime, of_task_run, utc_now


class Lease(RawTable, table=True):
    """A lease on a name (a trajectory, a question) until `expires_at`, by the database's clock.

    `holder` identifies the process (`host.processes`). The row is deleted when the lease is given back.
    """

    __tablename__ = "leases"

    name: str = Field(primary_key=True)
    holder: str = Field(index=True)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class Budget(RawTable, table=True):
    """What the processes of one run have spent and reserved together, under the caps that they share.

    A call's reservation is replaced by its actual use; that of a process which died stays, so that a cap is never
    exceeded.
    """

    __tablename__ = "budgets"

    id: str = Field(primary_key=True)
    max_cost: float | None
    max_tokens: int | None
    cost: float = 0.0
    tokens: int = 0
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class AnswerRow(RawTable, table=True):
    """A planner's answer, which is replayed wherever the same question is asked again.

    `question` is the identity of all that the answer depends on. `generation` counts the earlier answers to it that
    were declared void. `text_hash` is the whole answer as JSON; tokens and cost are those of its only call.
    """

    __tablename__ = "answers"

    id: str = Field(primary_key=True)
    question: str = Field(index=True)
    generation: int
    stage: str
    endpoint: str = Field(index=True)
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: float
    text_hash: str = Field(foreign_key="blobs.sha256")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class VoidedAnswer(RawTable, table=True):
    """An answer that is no longer replayed, and why."""

    __tablename__ = "voided_answers"

    id: str = Field(primary_key=True, foreign_key="answers.id")
    reason: str = Field(sa_type=FreeText)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Reopening(RawTable, table=True):
    """A closed trajectory that was opened again: the attempt that had closed it, its outcome, and why."""

    __tablename__ = "reopenings"
    __table_args__ = (of_task_run(), {"sqlite_with_rowid": False})

    campaign_id: str = Field(primary_key=True)
    task_run_id: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    outcome: str
    reason: str = Field(sa_type=FreeText)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
