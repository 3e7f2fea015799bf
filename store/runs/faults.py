"""Reasons why trajectories of a campaign have no verdict, counted."""

import re
from collections import Counter, defaultdict

from sqlalchemy import Connection, func, select

from models.outcomes import OutcomeKind
from models.plans import Frozen
from store.runs.superseded import counted
from store.tables import OutcomeRow, TaskRun, same_trajectory, table_of

_TRAJECTORIES = table_of(TaskRun)
_OUTCOMES = table_of(OutcomeRow)
_STATUS = re.compile(r"\bHTTP \d{3}\b")
_VARIABLE = re.compile(
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"  # a UUID
    r"|\b(?=[a-f]*\d)[0-9a-f]{8,}\b"  # a hash
    r"|\b(?=\w*\d)\w{20,}\b"  # an id of a request
    r"|(?<![\w.:/-])\d+(?:[.,:]\d+)*(?:ms|s|%)?(?![\w-])",  # a number of its own, with its unit
    re.IGNORECASE,
)


class FaultReason(Frozen):
    """Why trajectories have no verdict: the fault that their last attempt ended in, and the message of one of them.

    Messages that differ in numbers only, HTTP's status codes apart, are one reason.
    """

    kind: OutcomeKind
    reason: str
    trajectories: int
    planners: tuple[str, ...]


def read_faults(connection: Connection, campaign_id: str) -> tuple[FaultReason, ...]:
    """The faults of infrastructure and environment that open trajectories last ended in, the most frequent first."""
    last = (
        select(_OUTCOMES.c.task_run_id, func.max(_OUTCOMES.c.attempt).label("attempt"))
        .where(_OUTCOMES.c.campaign_id == campaign_id)
        .group_by(_OUTCOMES.c.task_run_id)
        .subquery()
    )
    label, counts_here = counted(connection, campaign_id)
    columns = label, _OUTCOMES.c.kind, _OUTCOMES.c.detail
    query = (
        select(*columns, func.count())
        .join(last, last.c.task_run_id == _TRAJECTORIES.c.id)
        .join(_OUTCOMES, same_trajectory(_OUTCOMES) & (_OUTCOMES.c.attempt == last.c.attempt))
        .where(_TRAJECTORIES.c.campaign_id == campaign_id, _TRAJECTORIES.c.closed_at.is_(None), counts_here)
        .where(_OUTCOMES.c.kind.in_([kind for kind in OutcomeKind if not kind.final]))  # not opened again since
        .group_by(*columns)
        .order_by(*columns)
    )
    details: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    planners: dict[tuple[str, str], set[str]] = defaultdict(set)
    for planner, kind, detail, count in connection.execute(query):
        key = kind, without_numbers(detail)
        details[key][detail] += count
        planners[key].add(planner)
    found = [
        FaultReason(
            kind=OutcomeKind(kind),
            reason=min(messages, key=lambda message: (-messages[message], message)),
            trajectories=messages.total(),
            planners=tuple(sorted(planners[kind, masked])),
        )
        for (kind, masked), messages in details.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.trajectories, each.kind, each.reason)))


def without_numbers(message: str) -> str:
    """A message with its numbers, hashes and ids masked, HTTP's status codes apart."""
    kept = _STATUS.findall(message)
    parts = _STATUS.split(message)
    masked = [_VARIABLE.sub("#", part) for part in parts]
    return "".join(text for pair in zip(masked, [*kept, ""], strict=True) for text in pair)
