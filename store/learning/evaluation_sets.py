"""Frozen evaluation sets: each by the hash of its content, never changed or deleted."""

from sqlalchemy import Connection, Engine, select

from models.errors import EvaluationError
from models.evaluation import EvaluationSet
from models.training import TrainingTarget
from store.database import reading
from store.rows import add_in_sequence, in_sequence, newest_first
from store.tables import EvaluationSetRow, table_of
from store.texts import sha256

_SETS = table_of(EvaluationSetRow)


def add_set(connection: Connection, evaluation_set: EvaluationSet) -> None:
    """Store a set in an open transaction, unless it is stored."""
    row = EvaluationSetRow(
        id=evaluation_set.id,
        target=evaluation_set.target.value,
        items=len(evaluation_set.items),
        repositories=list(evaluation_set.repositories),
        content=evaluation_set.model_dump_json(),
    )
    add_in_sequence(connection, row)


def all_sets(curated: Engine) -> list[EvaluationSet]:
    """Every frozen set, the oldest first. Raises EvaluationError if a set's content changed after it was frozen."""
    with reading(curated) as connection:
        rows = connection.execute(select(_SETS).order_by(*in_sequence(_SETS))).all()
    return [_read(row.id, row.target, row.content) for row in rows]


def newest_set(curated: Engine, target: TrainingTarget) -> EvaluationSet | None:
    """The newest set of a target, None if there is none. Raises EvaluationError as `all_sets` does."""
    query = select(_SETS).where(_SETS.c.target == target.value).order_by(*newest_first(_SETS)).limit(1)
    with reading(curated) as connection:
        row = connection.execute(query).first()
    return None if row is None else _read(row.id, row.target, row.content)


def _read(key: str, target: str, content: str) -> EvaluationSet:
    if sha256(content) != key:
        raise EvaluationError(
            f"evaluation set {key[:12]} ({target}) was changed after it was frozen; "
            "restore the curated database from a copy, or build the set again"
        )
    return EvaluationSet.model_validate_json(content)
