"""Finished evaluations with all their answers, each by the hash of set, subject and settings."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, select

from models.evaluation import Evaluation
from store.database import reading
from store.rows import add, writing
from store.tables import EvaluationRow, table_of
from store.texts import Texts, find_text

_ROWS = table_of(EvaluationRow)


def find_evaluation_result(raw: Engine, evaluation: str) -> str | None:
    """The stored text of an evaluation (by its id), or None."""
    with reading(raw) as connection:
        return find_text(connection, select(_ROWS.c.result_hash).where(_ROWS.c.id == evaluation))


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
