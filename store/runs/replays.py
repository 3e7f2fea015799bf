"""What a planner's trajectories asked, and which of its answers would be replayed: the basis of an estimate."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, exists, func, select

from models.protocols import JUDGING_STAGES, Stage
from store.database import chunks
from store.tables import RetrievalLlmCall, TaskRun, VoidedAnswer, same_attempt, same_trajectory, table_of
from store.texts import sha256

_TRAJECTORIES, _CALLS, _VOIDED = table_of(TaskRun), table_of(RetrievalLlmCall), table_of(VoidedAnswer)
_JUDGING = [stage.value for stage in JUDGING_STAGES]


class Tokens(NamedTuple):
    """Tokens of prompts, those of them from a server's cache, and tokens of answers."""

    prompt: float = 0.0
    cached: float = 0.0
    completion: float = 0.0

    def plus(self, other: "Tokens") -> "Tokens":
        """The sum of both."""
        return Tokens(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def times(self, factor: float) -> "Tokens":
        """A multiple."""
        return Tokens(*(factor * each for each in self))


class Sampled(NamedTuple):
    """A sample at an instance (its key)."""

    instance: str
    temperature: float
    sample: int


@dataclass
class Replays:
    """Stored answers of a planner that are not void.

    `whole`: samples whose trajectory was closed in some campaign, with such answers only. `begun`: of other samples,
    the longest row of answers with which an attempt began, by stage. `retrieved`: instances with the answers of a
    whole retrieval, which all samples share.
    """

    whole: set[Sampled] = field(default_factory=set)
    begun: dict[Sampled, dict[Stage, Tokens]] = field(default_factory=dict)
    retrieved: set[str] = field(default_factory=set)


def asked_by_stage(connection: Connection) -> dict[str, dict[Stage, Tokens]]:
    """Tokens of the questions in all closed trajectories, replayed answers included, by planner and stage; only the
    attempts that closed them count."""
    query = (
        select(_TRAJECTORIES.c.planner, _CALLS.c.call_type, *_sums())
        .join(_TRAJECTORIES, same_attempt(_CALLS))
        .group_by(_TRAJECTORIES.c.planner, _CALLS.c.call_type)
    )
    found: dict[str, dict[Stage, Tokens]] = {}
    for planner, stage, *tokens in connection.execute(query):
        found.setdefault(planner, {})[Stage(stage)] = Tokens(*tokens)
    return found


def closed_by_runner(connection: Connection) -> dict[str, int]:
    """The number of closed trajectories of each planner that began an attempt in any campaign."""
    closed = func.count(_TRAJECTORIES.c.closed_at)
    query = select(_TRAJECTORIES.c.planner, closed).where(_TRAJECTORIES.c.attempts > 0)
    return dict(connection.execute(query.group_by(_TRAJECTORIES.c.planner)).all())


def stored_replays(connection: Connection, identity: str, instances: Collection[str]) -> Replays:
    """The answers that a planner of an identity would find at some instances (their keys), in all campaigns."""
    found = Replays()
    for part in chunks(instances):
        own = (_TRAJECTORIES.c.planner_hash == sha256(identity)) & _TRAJECTORIES.c.instance_id.in_(part)
        found.whole |= _whole(connection, own)
        found.retrieved |= _retrieved(connection, own)
        for sampled, answers in _begun(connection, own).items():
            found.begun[sampled] = answers
    for sampled in found.whole & found.begun.keys():
        del found.begun[sampled]
    return found


def _gone() -> ColumnElement[bool]:
    """Whether a call's answer will not be replayed: it is void, or was not kept."""
    return _CALLS.c.answer_id.is_(None) | exists().where(_VOIDED.c.id == _CALLS.c.answer_id)


def _whole(connection: Connection, own: ColumnElement[bool]) -> set[Sampled]:
    query = select(_TRAJECTORIES.c.instance_id, _TRAJECTORIES.c.temperature, _TRAJECTORIES.c.sample).where(
        own,
        _TRAJECTORIES.c.closed_at.is_not(None),
        exists().where(same_attempt(_CALLS)),
        ~exists().where(same_attempt(_CALLS), _gone()),
    )
    return {Sampled(*row) for row in connection.execute(query.distinct())}


def _retrieved(connection: Connection, own: ColumnElement[bool]) -> set[str]:
    """Instances at which all answers of some attempt's retrieval are stored, and it asked for code or a plan later."""
    gone = func.count().filter(_CALLS.c.call_type.in_(_JUDGING), _gone())
    judged = func.count().filter(_CALLS.c.call_type.in_(_JUDGING))
    query = (
        select(_TRAJECTORIES.c.instance_id)
        .join(_CALLS, same_trajectory(_CALLS))
        .where(own)
        .group_by(_TRAJECTORIES.c.instance_id, _CALLS.c.campaign_id, _CALLS.c.task_run_id, _CALLS.c.attempt)
        .having(gone == 0, judged > 0, func.count() > judged)
    )
    return set(connection.scalars(query))


def _begun(connection: Connection, own: ColumnElement[bool]) -> Mapping[Sampled, dict[Stage, Tokens]]:
    query = (
        select(
            _TRAJECTORIES.c.instance_id,
            _TRAJECTORIES.c.temperature,
            _TRAJECTORIES.c.sample,
            _CALLS.c.campaign_id,
            _CALLS.c.attempt,
            _CALLS.c.call_type,
            _CALLS.c.prompt_tokens,
            _CALLS.c.cached_tokens,
            _CALLS.c.completion_tokens,
            _gone().label("gone"),
        )
        .join(_CALLS, same_trajectory(_CALLS))
        .where(own, _TRAJECTORIES.c.closed_at.is_(None))
        .order_by(_CALLS.c.campaign_id, _CALLS.c.task_run_id, _CALLS.c.attempt, _CALLS.c.seq)
    )
    longest: dict[Sampled, int] = {}
    found: dict[Sampled, dict[Stage, Tokens]] = {}
    rows = connection.execute(query).mappings()
    for (sampled, _, _), group in groupby(rows, key=_attempt):
        answers, count = _until_gone(list(group))
        if count > longest.get(sampled, 0):
            longest[sampled], found[sampled] = count, answers
    return found


def _attempt(row: RowMapping) -> tuple[Sampled, str, int]:
    return Sampled(row["instance_id"], row["temperature"], row["sample"]), row["campaign_id"], row["attempt"]


def _until_gone(rows: Collection[RowMapping]) -> tuple[dict[Stage, Tokens], int]:
    """The tokens by stage, and the number, of an attempt's calls before the first that is not replayed."""
    found: dict[Stage, Tokens] = {}
    for number, row in enumerate(rows):
        if row["gone"]:
            return found, number
        stage = Stage(row["call_type"])
        tokens = Tokens(row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"])
        found[stage] = found.get(stage, Tokens()).plus(tokens)
    return found, len(rows)


def _sums() -> list[ColumnElement[int]]:
    return [func.sum(_CALLS.c[name]) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")]
