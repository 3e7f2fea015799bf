"""Raw: finished trainings, and evaluations of their results."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from store.tables.base import FreeText, RawTable, UtcDateTime, utc_now


class TrainingRun(RawTable, table=True):
    """A finished training job (by the job's id, so it is done once). `adapter` is the content hash of the result,
    `losses_hash` the rows of the loss curve as a text."""

    __tablename__ = "training_runs"

    plan_id: str = Field(primary_key=True, foreign_key="training_plans.id")
    adapter: str = Field(index=True)
    path: str = Field(sa_type=FreeText)
    backend: str
    steps: int
    tokens: int
    seconds: float
    metrics: dict[str, Any] = Field(sa_type=JSON)
    losses_hash: str = Field(foreign_key="blobs.sha256")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class AnswerScore(RawTable, table=True):
    """A teacher's score of one answer to one prompt, from 0 to 1: `id` is the hash of teacher, stage and texts.

    `response_hash` is the answer's text as given, `scorer_hash` the teacher's identity.
    """

    __tablename__ = "answer_scores"

    id: str = Field(primary_key=True)
    stage: str
    prompt_hash: str = Field(foreign_key="blobs.sha256", index=True)
    response_hash: str = Field(foreign_key="blobs.sha256")
    scorer_hash: str = Field(foreign_key="blobs.sha256")
    model: str
    score: float
    reason: str = Field(sa_type=FreeText)
    prompt_tokens: int
    completion_tokens: int
    cost: float
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class ImprovementStep(RawTable, table=True):
    """A finished step of a round of self-improvement: an interrupted round resumes after its last one.

    The first step is `begin`, whose result holds the round's parameters; the last is `end`. `target` is empty for steps
    without one.
    """

    __tablename__ = "improvement_steps"

    round: int = Field(primary_key=True)
    step: str = Field(primary_key=True)
    target: str = Field(primary_key=True)
    result: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)


class EvaluationRow(RawTable, table=True):
    """A finished evaluation: `id` is the hash of set, subject and settings, `result_hash` the scores as a text."""

    __tablename__ = "evaluations"

    id: str = Field(primary_key=True)
    target: str = Field(index=True)
    set_id: str = Field(index=True)
    base: str
    adapter: str | None
    metrics: dict[str, Any] = Field(sa_type=JSON)
    seconds: float
    result_hash: str = Field(foreign_key="blobs.sha256")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
