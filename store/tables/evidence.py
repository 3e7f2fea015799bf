"""Raw: what happened during an attempt, keyed by position.

All rows of an attempt, in all tables, draw `seq` from one counter, which gives them one order and makes a repeated
write recognisable.
"""

from datetime import datetime

from sqlalchemy import JSON
from sqlmodel import Field

from store.tables.base import FreeText, RawTable, UtcDateTime, of_task_run, utc_now


class EvidenceColumns(RawTable):
    """The columns that every row of evidence has."""

    campaign_id: str = Field(primary_key=True)
    task_run_id: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class RetrievalLlmCall(EvidenceColumns, table=True):
    """One request to a planner, of any stage (`call_type`), and its answer.

    `request_hash` is the request as data with file texts replaced by their hashes; `prompt_hash` the
    rendered prompt, if the planner needed one. Tokens are counts, `cost` is in the provider's currency,
    `latency` in seconds. `cached_tokens` are prompt tokens from the server's cache, `retries` failed requests before
    the answer. `context_tokens` is the size of the context package that was shown. A `reused` answer comes from
    another attempt or sample, and costs nothing here. `answer_id` is its row in `answers`.
    """

    __tablename__ = "retrieval_llm_calls"
    __table_args__ = (of_task_run(), {"sqlite_with_rowid": False})

    call_type: str = Field(index=True)
    part_id: str | None = Field(sa_type=FreeText)
    step_id: str | None = Field(sa_type=FreeText)
    step_attempt: int
    request_hash: str = Field(foreign_key="blobs.sha256")
    prompt_hash: str | None = Field(foreign_key="blobs.sha256")
    response_hash: str = Field(foreign_key="blobs.sha256")
    reasoning_hash: str | None = Field(foreign_key="blobs.sha256")
    model: str
    adapter: str | None
    temperature: float
    seed: int | None
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    cost: float
    latency: float
    endpoint: str = ""
    cached_tokens: int = 0
    retries: int = 0
    reused: bool = False
    context_tokens: int | None = None
    answer_id: str | None = Field(default=None, index=True)


class RetrievalDecision(EvidenceColumns, table=True):
    """A decision that affected the outcome, with its reason."""

    __tablename__ = "retrieval_decisions"
    __table_args__ = (of_task_run(), {"sqlite_with_rowid": False})

    stage: str
    subject: str = Field(sa_type=FreeText)
    decision: str = Field(sa_type=FreeText)
    reason: str = Field(sa_type=FreeText)


class PlanRow(EvidenceColumns, table=True):
    """A well-formed plan: a meta plan (`part_id` empty), a part plan or a test plan."""

    __tablename__ = "plans"
    __table_args__ = (of_task_run(), {"sqlite_with_rowid": False})

    stage: str
    part_id: str | None = Field(sa_type=FreeText)
    plan_hash: str = Field(foreign_key="blobs.sha256")


class EditRow(EvidenceColumns, table=True):
    """The result of one edit: the rung that applied it, or the error.

    Hashes are SHA-256 of the file's bytes.
    """

    __tablename__ = "edits"
    __table_args__ = (of_task_run(), {"sqlite_with_rowid": False})

    part_id: str = Field(sa_type=FreeText)
    step_id: str = Field(sa_type=FreeText)
    step_attempt: int
    kind: str
    path: str = Field(sa_type=FreeText)
    edit_hash: str = Field(foreign_key="blobs.sha256")
    rung: str | None
    error: str | None = Field(sa_type=FreeText)
    before_hash: str | None
    after_hash: str | None


class TestRun(EvidenceColumns, table=True):
    """A run of tests, and how many tests had each outcome; the whole report is a text."""

    __test__ = False  # keeps pytest from collecting it
    __tablename__ = "test_runs"
    __table_args__ = (of_task_run(), {"sqlite_with_rowid": False})

    purpose: str
    end: str
    exit_code: int | None
    counts: dict[str, int] = Field(sa_type=JSON)
    seconds: float
    report_hash: str = Field(foreign_key="blobs.sha256")
