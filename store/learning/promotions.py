"""The promotion log: why an adapter, or the base alone, is active for a target. Rows are never changed or deleted.

A decision is one transaction (`store.learning.adapters.deciding`): a row here, and the change of the active
adapter. If it fails before its commit, both stay as they were.
"""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, insert, select

from models.evaluation import GateReport
from models.plans import Frozen
from models.training import TrainingTarget
from store.database import reading
from store.learning.adapters import serving
from store.tables import Promotion, table_of

_LOG = table_of(Promotion)


class RegistryDecision(NamedTuple):
    """A decision to log: the action, the adapter (hash or None), the reason, a person's reason for overriding a rule,
    the gate's report, and the base (hash) that was adopted."""

    target: TrainingTarget
    action: str
    adapter: str | None
    reason: str
    override: str | None = None
    report: GateReport | None = None
    base: str | None = None


class LoggedDecision(Frozen):
    """A logged decision: `seq` counts from 1, `serving` is the adapter that was active afterwards."""

    seq: int
    target: str
    action: str
    adapter: str | None
    serving: str | None
    reason: str
    override: str | None
    base: str | None
    report: dict[str, Any]
    created_at: datetime


def log_decision(connection: Connection, decision: RegistryDecision) -> None:
    """Add a decision to the log, with the adapter that is now active."""
    report = decision.report
    row = Promotion(
        **decision._asdict()
        | {
            "target": decision.target.value,
            "serving": serving(connection, decision.target),
            "report": report.model_dump(mode="json") if report is not None else {},
        }
    )
    connection.execute(insert(_LOG).values(row.model_dump(exclude={"seq"})))


def read_log(connection: Connection, target: TrainingTarget | None = None) -> list[LoggedDecision]:
    """All decisions, or those about one target, oldest first."""
    query = select(_LOG).order_by(_LOG.c.seq)
    if target is not None:
        query = query.where(_LOG.c.target == target.value)
    return [LoggedDecision.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def promotion_log(curated: Engine, target: TrainingTarget | None = None) -> list[LoggedDecision]:
    """`read_log`, in a transaction of its own."""
    with reading(curated) as connection:
        return read_log(connection, target)
