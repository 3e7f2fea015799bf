"""The evidence of an attempt that training reads: calls, decisions and rejected edits, by position."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, select

from models.protocols import Stage
from store.tables import EditRow, RetrievalDecision, RetrievalLlmCall, table_of

_CALLS, _DECISIONS, _EDITS = table_of(RetrievalLlmCall), table_of(RetrievalDecision), table_of(EditRow)


class AttemptKey(NamedTuple):
    """An attempt of a trajectory, which is named by campaign and key."""

    campaign: str
    trajectory: str
    attempt: int


@dataclass(frozen=True)
class StoredCall:
    """One prompt and its answer, by the hashes of their texts. `attempt` counts from 0 how often the question (of a
    stage, part and step) was asked."""

    seq: int
    stage: Stage
    part: str | None
    step: str | None
    attempt: int
    request: str
    prompt: str | None
    response: str
    reasoning: str | None
    model: str
    adapter: str | None
    finish_reason: str


class StoredDecision(NamedTuple):
    """A decision and its subject."""

    seq: int
    stage: Stage
    subject: str
    decision: str


def stored_calls(connection: Connection, key: AttemptKey, stages: Collection[Stage]) -> list[StoredCall]:
    """The calls of some stages in an attempt, in order."""
    return [
        StoredCall(
            seq=row["seq"],
            stage=Stage(row["call_type"]),
            part=row["part_id"],
            step=row["step_id"],
            attempt=row["step_attempt"],
            request=row["request_hash"],
            prompt=row["prompt_hash"],
            response=row["response_hash"],
            reasoning=row["reasoning_hash"],
            model=row["model"],
            adapter=row["adapter"],
            finish_reason=row["finish_reason"],
        )
        for row in _rows(connection, _CALLS, key, _CALLS.c.call_type.in_([stage.value for stage in stages]))
    ]


def stored_decisions(
    connection: Connection, key: AttemptKey, stages: Collection[Stage], decisions: Collection[str]
) -> list[StoredDecision]:
    """Decisions of some kinds by some stages in an attempt, in order."""
    wanted = _DECISIONS.c.stage.in_([stage.value for stage in stages]) & _DECISIONS.c.decision.in_(decisions)
    return [
        StoredDecision(row["seq"], Stage(row["stage"]), row["subject"], row["decision"])
        for row in _rows(connection, _DECISIONS, key, wanted)
    ]


def rejected_edits(connection: Connection, key: AttemptKey) -> list[int]:
    """The positions of an attempt's edits that were not applied, in order."""
    return [row["seq"] for row in _rows(connection, _EDITS, key, _EDITS.c.error.is_not(None))]


def _rows(
    connection: Connection, table: Table, key: AttemptKey, condition: ColumnElement[bool]
) -> Sequence[RowMapping]:
    query = (
        select(table)
        .where(
            table.c.campaign_id == key.campaign,
            table.c.task_run_id == key.trajectory,
            table.c.attempt == key.attempt,
            condition,
        )
        .order_by(table.c.seq)
    )
    return connection.execute(query).mappings().all()
