"""Curated: verified configuration that the pipeline reads at run time."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, UniqueConstraint, column
from sqlmodel import Field

from store.tables.base import CuratedTable, FreeText, UtcDateTime, utc_now


class AdapterMetadata(CuratedTable, table=True):
    """A trained adapter, `{stage}-v{version}`, by the hash of its weights. At most one per stage is active.

    Rows are never deleted; promotion and rollback move `active`. `metrics` is the snapshot that the gate used.
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
    dataset_id: str = ""
    plan_id: str = ""
    metrics: dict[str, Any] = Field(sa_type=JSON)
    active: bool = False
    trained_at: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class BaseModel(CuratedTable, table=True):
    """A frozen base: a directory of weights by the hash of its files. `tuned` if it came from a full fine-tune,
    as `{role}-base-v{version}`. Which base a role uses is in the log of decisions about bases."""

    __tablename__ = "bases"

    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    role: str | None
    version: int | None
    tuned: bool
    path: str = Field(sa_type=FreeText)
    facts: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Promotion(CuratedTable, table=True):
    """One decision about the active adapter of a target, in order. Rows are never changed or deleted.

    `action` is promote, reject, inconclusive, rollback, refuse or adopt. `adapter` is its subject, `serving` the
    adapter that is active afterwards (None: the base). `override` is a person's reason for overriding a rule, `base`
    the hash of the base that was adopted for the target.
    """

    __tablename__ = "promotions"

    seq: int | None = Field(default=None, primary_key=True)
    target: str = Field(index=True)
    action: str
    adapter: str | None
    serving: str | None
    reason: str = Field(sa_type=FreeText)
    override: str | None = Field(sa_type=FreeText)
    base: str | None = None
    report: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class BaseDecisionRow(CuratedTable, table=True):
    """One decision about the base of a role, in order. Rows are never changed or deleted.

    `action` is evaluate, promote, adopt or rollback. `base` is its subject (a hash), `before` the base in use until
    then, `serving` the one in use afterwards (None: none, so that any may be). `override` is a person's reason for
    overriding the gate, `stopped` the adapters (hashes) that the decision took out of service.
    """

    __tablename__ = "base_decisions"

    seq: int | None = Field(default=None, primary_key=True)
    role: str = Field(index=True)
    action: str
    base: str
    before: str | None
    serving: str | None
    reason: str = Field(sa_type=FreeText)
    override: str | None = Field(sa_type=FreeText)
    report: dict[str, Any] = Field(sa_type=JSON)
    stopped: list[str] = Field(sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class Reservation(CuratedTable, table=True):
    """A repository held out for evaluation: it is never trained on. Rows are never changed or deleted."""

    __tablename__ = "reservations"

    repository: str = Field(primary_key=True)
    reason: str = Field(sa_type=FreeText)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class ReservedContent(CuratedTable, table=True):
    """The content of a reserved repository (`RepositoryContent`): copies of it, under any name, are never trained on.
    Rows are never changed or deleted."""

    __tablename__ = "reserved_contents"

    id: str = Field(primary_key=True)
    repository: str = Field(index=True)
    content: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class EvaluationSetRow(CuratedTable, table=True):
    """A frozen evaluation set: `id` is the hash of its content, `content` its JSON. The newest of a target is in force:
    the one stored last (`sequence`), whatever the clock said. Rows are never changed or deleted."""

    __tablename__ = "evaluation_sets"

    id: str = Field(primary_key=True)
    target: str = Field(index=True)
    items: int
    repositories: list[str] = Field(sa_type=JSON)
    content: str = Field(sa_type=FreeText)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
    sequence: int | None = None
