"""The promotion log and the alias that it explains. Each decision is one transaction: a row here, and `active` moved.

Whatever stops it before its commit leaves the champion and the log as they were.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from models.evaluation import GateReport
from models.training import TrainingTarget
from store.database import READ_ONLY
from store.tables import AdapterMetadata, Promotion

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_LOCK_ID = 0xADA97E


class RegistryDecision(NamedTuple):
    """What is written: an action about an adapter (hash or None), why, a person's reason to go past a rule, the gate's
    report, and the base (hash) that was adopted."""

    target: TrainingTarget
    action: str
    adapter: str | None
    reason: str
    override: str | None = None
    report: GateReport | None = None
    base: str | None = None


@contextmanager
def deciding(curated: "Engine") -> Iterator["Connection"]:
    """A transaction that nobody else decides in meanwhile; committed at the end, undone on any error."""
    with curated.begin() as connection:
        if connection.dialect.name == "postgresql":  # SQLite's begin with the write lock
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_ID})")
        yield connection


def serving(connection: "Connection", target: TrainingTarget) -> str | None:
    """The adapter that serves a target; None: the base alone."""
    from sqlmodel import col, select

    query = select(AdapterMetadata.id).where(AdapterMetadata.stage == target.value, col(AdapterMetadata.active))
    found: str | None = connection.execute(query).scalar()
    return found


def move(connection: "Connection", target: TrainingTarget, adapter: str | None) -> None:
    """Let an adapter serve a target, or the base alone. The old one goes first: an index allows one at a time."""
    from sqlalchemy import update
    from sqlmodel import col

    stage = col(AdapterMetadata.stage) == target.value
    connection.execute(update(AdapterMetadata).where(stage, col(AdapterMetadata.active)).values(active=False))
    if adapter is not None:
        connection.execute(update(AdapterMetadata).where(col(AdapterMetadata.id) == adapter).values(active=True))


def write(connection: "Connection", decision: RegistryDecision) -> int:
    """Add a row to the log, with who serves by now. Returns its number."""
    from sqlalchemy import insert

    from store.tables import utc_now

    report = decision.report.model_dump(mode="json") if decision.report is not None else {}
    values: dict[str, Any] = {
        "target": decision.target.value,
        "action": decision.action,
        "adapter": decision.adapter,
        "serving": serving(connection, decision.target),
        "reason": decision.reason,
        "override": decision.override,
        "base": decision.base,
        "report": report,
        "created_at": utc_now(),
    }
    result = connection.execute(insert(Promotion).values(**values).returning(Promotion.seq))  # type: ignore[call-overload]
    return int(result.scalar_one())


def read_log(connection: "Connection", target: TrainingTarget | None = None) -> list[Promotion]:
    """All decisions, or those about one target, oldest first."""
    from sqlmodel import col, select

    query = select(Promotion).order_by(col(Promotion.seq))
    if target is not None:
        query = query.where(Promotion.target == target.value)
    return [Promotion(**row._mapping) for row in connection.execute(query)]


@contextmanager
def reading(curated: "Engine") -> Iterator["Connection"]:
    """A connection that only reads."""
    with curated.connect().execution_options(**{READ_ONLY: True}) as connection:
        yield connection


def adopted(log: Sequence[Promotion]) -> str | None:
    """The base that was adopted last, by a target's log; None: none was, so that any may serve."""
    return next((row.base for row in reversed(log) if row.action == "adopt"), None)


def served_before(log: Sequence[Promotion]) -> list[str | None]:
    """Who served a target before the one that serves now, most recent first, down to the base alone (None).

    A promotion puts its adapter on top; a rollback takes away all above the one it went back to.
    """
    stack: list[str | None] = [None]
    for row in log:
        if row.action == "promote":
            stack.append(row.serving)
        elif row.action == "rollback":
            while len(stack) > 1 and stack[-1] != row.serving:
                stack.pop()
    return stack[-2::-1]
