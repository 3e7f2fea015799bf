"""Answers that are taken back: they become void, and the trajectories that rest on them are opened again.

Rows are only added: the void answers, the attempts that used them and their outcomes stay.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal

from pydantic import Field
from sqlalchemy import Column, ColumnElement, Connection, Engine, Select, exists, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from models.plans import Frozen
from models.protocols import Stage
from store.database import chunks, reading
from store.runs.attempts import AttemptKey
from store.tables import (
    AnswerRow,
    CampaignRun,
    FreeText,
    OutcomeRow,
    Reopening,
    RetrievalLlmCall,
    TaskRun,
    UtcDateTime,
    VoidedAnswer,
    same_attempt,
    same_trajectory,
    table_of,
    utc_now,
)

_ANSWERS, _VOIDED, _REOPENED = table_of(AnswerRow), table_of(VoidedAnswer), table_of(Reopening)
_TRAJECTORIES, _CALLS = table_of(TaskRun), table_of(RetrievalLlmCall)
_OUTCOMES, _RUNS = table_of(OutcomeRow), table_of(CampaignRun)


class AnswerChoice(Frozen):
    """Some of the stored answers: of an endpoint (None: of all), given from `since` on and before `until`, by stages or
    to audits (empty: all)."""

    endpoint: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    stages: tuple[Stage | Literal["audit"], ...] = ()


class AnswerGroup(Frozen):
    """The answers of one model at one stage on one day (UTC), `void` of them taken back. Tokens and cost are of all."""

    endpoint: str
    stage: str
    model: str
    day: str
    answers: int
    void: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


class ReopenedCampaign(Frozen):
    """A campaign by its id and its latest label, and how many of its trajectories were opened again."""

    id: str
    name: str
    trajectories: int


class Forgotten(Frozen):
    """What taking back answers did: `answers` became void, which had cost `cost`; `void_before` were so already.

    `running` counts open trajectories with an unfinished attempt that used such answers: it may still close them.
    `used_in` are the campaigns of all attempts that did, whether or not their trajectory had to be opened again.
    """

    answers: int
    void_before: int
    cost: float
    campaigns: tuple[ReopenedCampaign, ...]
    running: int
    used_in: tuple[str, ...] = Field(default=(), exclude=True)

    @property
    def trajectories(self) -> int:
        """How many trajectories were opened again."""
        return sum(campaign.trajectories for campaign in self.campaigns)


def list_answers(engine: Engine, choice: AnswerChoice) -> list[AnswerGroup]:
    """The stored answers of a choice by endpoint, stage, model and day, the oldest day first."""
    with reading(engine) as connection:
        day = _day(connection, _ANSWERS.c.created_at).label("day")
        keys: list[ColumnElement[str]] = [_ANSWERS.c.endpoint, _ANSWERS.c.stage, _ANSWERS.c.model, day]
        query = (
            select(
                *keys,
                func.count().label("answers"),
                func.count(_VOIDED.c.id).label("void"),
                *(func.sum(_ANSWERS.c[name]).label(name) for name in ("prompt_tokens", "completion_tokens", "cost")),
            )
            .outerjoin(_VOIDED, _VOIDED.c.id == _ANSWERS.c.id)
            .where(*_chosen(choice))
            .group_by(*keys)
            .order_by(day, _ANSWERS.c.endpoint, _ANSWERS.c.stage, _ANSWERS.c.model)
        )
        return [AnswerGroup.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def known_endpoints(engine: Engine) -> list[str]:
    """Endpoints of which answers are stored."""
    with reading(engine) as connection:
        query = select(_ANSWERS.c.endpoint).where(_ANSWERS.c.endpoint != "").distinct()
        return list(connection.scalars(query.order_by(_ANSWERS.c.endpoint)))


def forget_answers(engine: Engine, choice: AnswerChoice, reason: str, *, dry_run: bool = False) -> Forgotten:
    """Declare the answers of a choice void, and open the closed trajectories again whose counting attempt used them.

    All in one transaction, which a dry run takes back. An attempt that was running meanwhile may close its trajectory
    later, with a void answer: the same call finds it then.
    """
    with engine.connect() as connection, connection.begin() as transaction:
        found = _forget(connection, choice, reason)
        if dry_run:
            transaction.rollback()
    return found


def reopened_among(engine: Engine, trajectories: Collection[str]) -> dict[str, int]:
    """Those trajectories that are open because they were opened again, each with the attempt that had closed it."""
    found: dict[str, int] = {}
    query = select(_TRAJECTORIES.c.id, func.max(_REOPENED.c.attempt)).join(_REOPENED, same_trajectory(_REOPENED))
    query = query.where(_TRAJECTORIES.c.closed_at.is_(None)).group_by(_TRAJECTORIES.c.id)
    with reading(engine) as connection:
        for part in chunks(trajectories):
            found.update(connection.execute(query.where(_TRAJECTORIES.c.id.in_(part))).all())
    return found


def voided(connection: Connection, answers: Collection[str]) -> set[str]:
    """The void ones among answers (their ids)."""
    found: set[str] = set()
    for part in chunks(answers):
        found.update(connection.scalars(select(_VOIDED.c.id).where(_VOIDED.c.id.in_(part))))
    return found


def attempts_with(engine: Engine, choice: AnswerChoice) -> set[AttemptKey]:
    """All attempts that used answers of a choice."""
    columns = (_CALLS.c.campaign_id, _CALLS.c.task_run_id, _CALLS.c.attempt)
    query = select(*columns).where(_CALLS.c.answer_id.in_(_ids(choice))).distinct()
    with reading(engine) as connection:
        return {AttemptKey(*row) for row in connection.execute(query)}


def _forget(connection: Connection, choice: AnswerChoice, reason: str) -> Forgotten:
    known = _VOIDED.c.id == _ANSWERS.c.id
    total = select(func.count(), func.coalesce(func.sum(_ANSWERS.c.cost), 0.0)).where(*_chosen(choice))
    answers, cost = connection.execute(total.where(~exists().where(known))).one()
    void_before = connection.execute(total.where(exists().where(known))).one()[0]
    now = utc_now()
    said, at = literal(reason, FreeText()), literal(now, UtcDateTime())
    void = select(_ANSWERS.c.id, said, at).where(*_chosen(choice), ~exists().where(known))
    connection.execute(_VOIDED.insert().from_select(["id", "reason", "created_at"], void))
    connection.execute(_reopenings(connection, choice, said, at))
    running = connection.scalar(_unfinished(choice)) or 0
    campaigns = _campaigns(connection, choice)
    connection.execute(
        update(_TRAJECTORIES)
        .where(
            _TRAJECTORIES.c.campaign_id.in_([campaign.id for campaign in campaigns]),
            _TRAJECTORIES.c.closed_at.is_not(None),
            exists().where(same_attempt(_REOPENED)),
        )
        .values(closed_at=None, closed_attempt=None, outcome=None, success=None)
    )
    used = select(_CALLS.c.campaign_id).where(_CALLS.c.answer_id.in_(_ids(choice))).distinct()
    used_in = sorted(connection.scalars(used))
    return Forgotten(
        answers=answers, void_before=void_before, cost=cost, campaigns=campaigns, running=running, used_in=used_in
    )


def _reopenings(
    connection: Connection, choice: AnswerChoice, reason: ColumnElement[str], at: ColumnElement[datetime]
) -> "sqlite.Insert | postgresql.Insert":
    """Insert a row for each closed trajectory whose counting attempt used void answers of a choice."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    columns = ("campaign_id", "id", "closed_attempt", "outcome")
    rows = _resting(choice, *(_TRAJECTORIES.c[name] for name in columns)).add_columns(reason, at)
    names = ["campaign_id", "task_run_id", "attempt", "outcome", "reason", "created_at"]
    return insert(_REOPENED).from_select(names, rows).on_conflict_do_nothing()


def _resting(choice: AnswerChoice, *columns: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """Closed trajectories whose counting attempt used answers of a choice."""
    used = exists().where(same_attempt(_CALLS), _CALLS.c.answer_id.in_(_ids(choice)))
    return select(*columns).where(_TRAJECTORIES.c.closed_at.is_not(None), used)


def _campaigns(connection: Connection, choice: AnswerChoice) -> tuple[ReopenedCampaign, ...]:
    """The campaigns with trajectories to open again."""
    query = _resting(choice, _TRAJECTORIES.c.campaign_id, func.count()).group_by(_TRAJECTORIES.c.campaign_id)
    found = []
    for campaign, count in connection.execute(query.order_by(_TRAJECTORIES.c.campaign_id)):
        label = select(_RUNS.c.name).where(_RUNS.c.campaign_id == campaign).order_by(_RUNS.c.started_at.desc())
        name = connection.scalar(label.limit(1)) or ""
        found.append(ReopenedCampaign(id=campaign, name=name, trajectories=count))
    return tuple(found)


def _unfinished(choice: AnswerChoice) -> Select[int]:
    """The number of open trajectories whose last attempt has no outcome and used answers of a choice."""
    last = _TRAJECTORIES.c.attempts
    return select(func.count()).where(
        _TRAJECTORIES.c.closed_at.is_(None),
        exists().where(same_trajectory(_CALLS), _CALLS.c.attempt == last, _CALLS.c.answer_id.in_(_ids(choice))),
        ~exists().where(same_trajectory(_OUTCOMES), _OUTCOMES.c.attempt == last),
    )


def _ids(choice: AnswerChoice) -> Select[str]:
    return select(_ANSWERS.c.id).where(*_chosen(choice))


def _chosen(choice: AnswerChoice) -> list[ColumnElement[bool]]:
    columns, conditions = _ANSWERS.c, list[ColumnElement[bool]]()
    if choice.endpoint is not None:
        conditions.append(columns.endpoint == choice.endpoint)
    if choice.since is not None:
        conditions.append(columns.created_at >= choice.since)
    if choice.until is not None:
        conditions.append(columns.created_at < choice.until)
    if choice.stages:
        conditions.append(columns.stage.in_([str(stage) for stage in choice.stages]))
    return conditions


def _day(connection: Connection, column: Column[datetime]) -> ColumnElement[str]:
    """The day of a time, in UTC."""
    if connection.dialect.name == "sqlite":
        return func.strftime("%Y-%m-%d", column)
    return func.to_char(func.timezone("UTC", column), "YYYY-MM-DD")
