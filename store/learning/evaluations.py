"""Finished evaluations with all their answers, each by the hash of set, subject and settings."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Engine, select

from models.evaluation import Evaluation
from models.plans import Frozen
from store.database import reading
from store.rows import add, writing
from store.tables import EvaluationRow, table_of
from store.texts import Texts, find_text, read_texts

_ROWS = table_of(EvaluationRow)


def find_evaluation_result(raw: Engine, evaluation: str) -> str | None:
    """The stored text of an evaluation (by its id), or None."""
    with reading(raw) as connection:
        return find_text(connection, select(_ROWS.c.result_hash).where(_ROWS.c.id == evaluation))


class CampaignEvaluation(Frozen):
    """An evaluation by whole runs: its id, its target, the adapter's hash (None: the base alone), and the campaign."""

    id: str
    target: str
    adapter: str | None
    campaign: str


def evaluations_on(raw: Engine, campaigns: Collection[str]) -> list[CampaignEvaluation]:
    """Stored evaluations whose scores come from any of these campaigns, the newest first."""
    query = select(_ROWS).order_by(_ROWS.c.created_at.desc(), _ROWS.c.id)
    found = []
    with reading(raw) as connection:
        for row in connection.execute(query).mappings().all() if campaigns else []:
            stored = json.loads(read_texts(connection, [row["result_hash"]])[row["result_hash"]])
            on = stored["evaluation"]["settings"].get("campaign")  # the head of its key
            if on and (whole := next((each for each in campaigns if each.startswith(on)), None)):
                found.append(
                    CampaignEvaluation(id=row["id"], target=row["target"], adapter=row["adapter"], campaign=whole)
                )
    return found


def add_evaluation(raw: Engine, key: str, evaluation: Evaluation, metrics: Mapping[str, Any], result: str) -> bool:
    """Store a finished evaluation under its id; `result` is the text with its answers. Returns whether it was stored:
    the first one stays."""
    texts = Texts()
    row = EvaluationRow(
        id=key,
        target=evaluation.target.value,
        set_id=evaluation.set_id,
        base=evaluation.subject.base,
        adapter=evaluation.subject.adapter,
        metrics=dict(metrics),
        seconds=evaluation.seconds,
        result_hash=texts.add(result),
    )
    with writing(raw, texts) as connection:
        return add(connection, row)
