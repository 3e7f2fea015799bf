"""The log of decisions about the base of each role. The base in use is that of the role's last decision.

So a decision is one row: with the change of active adapters it is written in one transaction
(`store.learning.adapters.deciding`), and if that fails before its commit, all stays as it was.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, insert, select

from models.base_evaluation import BaseReport
from models.plans import Frozen
from models.targets import Role
from store.database import reading
from store.tables import BaseDecisionRow, table_of

_LOG = table_of(BaseDecisionRow)
CHANGES = ("promote", "adopt", "rollback")
"""The actions after which another base is in use; `evaluate` changes nothing."""


class BaseDecision(NamedTuple):
    """A decision to log; its fields are those of `LoggedBaseDecision`."""

    role: Role
    action: str
    base: str
    before: str | None
    serving: str | None
    reason: str
    override: str | None = None
    report: BaseReport | None = None
    stopped: tuple[str, ...] = ()


class LoggedBaseDecision(Frozen):
    """A logged decision: `seq` counts from 1, `base` is its subject, `before` the base in use until then, `serving` the
    one in use afterwards, `stopped` the adapters that were taken out of service."""

    seq: int
    role: Role
    action: str
    base: str
    before: str | None
    serving: str | None
    reason: str
    override: str | None
    report: dict[str, Any]
    stopped: tuple[str, ...]
    created_at: datetime


def log_base_decision(connection: Connection, decision: BaseDecision) -> None:
    """Add a decision to the log."""
    report = decision.report
    row = BaseDecisionRow(
        **decision._asdict()
        | {
            "report": report.model_dump(mode="json") if report is not None else {},
            "stopped": list(decision.stopped),
        }
    )
    connection.execute(insert(_LOG).values(row.model_dump(exclude={"seq"})))


def read_base_log(connection: Connection, role: Role | None = None) -> list[LoggedBaseDecision]:
    """All decisions, or those about one role, oldest first."""
    query = select(_LOG).order_by(_LOG.c.seq)
    if role is not None:
        query = query.where(_LOG.c.role == role)
    return [LoggedBaseDecision.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def base_log(curated: Engine, role: Role | None = None) -> list[LoggedBaseDecision]:
    """`read_base_log`, in a transaction of its own."""
    with reading(curated) as connection:
        return read_base_log(connection, role)


def base_in_use(connection: Connection, role: Role) -> str | None:
    """The base that a role uses (its hash); None if nothing was decided, so that any may be used."""
    query = select(_LOG.c.serving).where(_LOG.c.role == role).order_by(_LOG.c.seq.desc()).limit(1)
    found: str | None = connection.scalar(query)
    return found


def bases_before(log: Sequence[LoggedBaseDecision]) -> list[str | None]:
    """The other bases that a role used before the one in use, most recent first."""
    used = log[-1].serving if log else None
    return [base for base, _ in reversed(_history(log)[:-1]) if base != used]


def undone_by(log: Sequence[LoggedBaseDecision], base: str | None) -> list[LoggedBaseDecision]:
    """The promotions and adoptions that a rollback to a base undoes, oldest first."""
    history = _history(log)
    undone: list[LoggedBaseDecision | None] = []
    while len(history) > 1 and (not undone or history[-1][0] != base):
        undone.append(history.pop()[1])
    return [row for row in reversed(undone) if row is not None]


def _history(log: Sequence[LoggedBaseDecision]) -> list[tuple[str | None, LoggedBaseDecision | None]]:
    """The bases in use one after the other, each with the decision that brought it (None: it was in use before). A
    promotion or adoption pushes its base, a rollback pops the last, and all above the one that it restored."""
    history: list[tuple[str | None, LoggedBaseDecision | None]] = []
    for row in log:
        if row.action in ("promote", "adopt"):
            history = [*(history or [(row.before, None)]), (row.serving, row)]
        elif row.action == "rollback":
            history = history[:-1] if len(history) > 1 else history
            while len(history) > 1 and history[-1][0] != row.serving:
                history.pop()
    return history
