"""Answers that some models gave in a campaign without an adapter: samples of the base that served them."""

import hashlib
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, select

from models.protocols import Stage
from store.tables import RetrievalLlmCall, TaskRun, same_trajectory, table_of
from store.texts import read_texts

_TRAJECTORIES, _CALLS = table_of(TaskRun), table_of(RetrievalLlmCall)


class OwnAnswer(NamedTuple):
    """A prompt (as stored), its answer, the thinking trace before it, and the temperature of sampling."""

    id: str
    prompt: str
    text: str
    reasoning: str
    temperature: float


def own_answers(
    connection: Connection, campaign: str, identity: str, stages: Collection[Stage], limit: int
) -> list[OwnAnswer]:
    """At most `limit` answers of models (by the hash of them all) in a campaign (its key) to prompts of some stages,
    none of an adapter, in an order that follows from their places alone."""
    query = (
        select(
            _CALLS.c.task_run_id,
            _CALLS.c.attempt,
            _CALLS.c.seq,
            _CALLS.c.prompt_hash,
            _CALLS.c.response_hash,
            _CALLS.c.reasoning_hash,
            _CALLS.c.temperature,
        )
        .join(_TRAJECTORIES, same_trajectory(_CALLS))
        .where(
            _CALLS.c.campaign_id == campaign,
            _CALLS.c.call_type.in_([stage.value for stage in stages]),
            _CALLS.c.adapter.is_(None),
            _CALLS.c.prompt_hash.is_not(None),
            _TRAJECTORIES.c.planner_hash == identity,
        )
    )
    places = {f"{row.task_run_id} {row.attempt} {row.seq}": row for row in connection.execute(query)}
    chosen = sorted(places, key=lambda place: hashlib.sha256(place.encode()).digest())[:limit]
    rows = [places[place] for place in chosen]
    hashes = {each for row in rows for each in (row.prompt_hash, row.response_hash, row.reasoning_hash) if each}
    texts = read_texts(connection, hashes)
    return [
        OwnAnswer(
            place,
            texts[row.prompt_hash],
            texts[row.response_hash],
            texts.get(row.reasoning_hash, ""),
            row.temperature,
        )
        for place, row in zip(chosen, rows, strict=True)
    ]
