"""Frozen evaluation sets and the repositories that are kept for them.

A repository is reserved before anything of it is trained on, and stays reserved: the database refuses to change or
delete a row.
"""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import Connection, RowMapping, select

from evals.sets.copies import copies_among, keep_contents
from evals.sets.trained import trained_repositories
from models.errors import EvaluationError, GuardrailError
from models.evaluation import EvaluationSet
from models.training import TrainingTarget
from store.rows import add, reading, table_of, writing
from store.tables import EvaluationSetRow, Reservation

if TYPE_CHECKING:
    from sqlalchemy import Engine

HELD_OUT = "held-out"
_SETS = table_of(EvaluationSetRow)
_RESERVED = table_of(Reservation)


def reserve(curated: "Engine", raw: "Engine", repositories: Iterable[str], reason: str) -> list[str]:
    """Keep repositories for evaluation, for good; those that were not reserved before, sorted.

    Raises GuardrailError `held-out`, and reserves none, if a training has used one of them.
    """
    with writing(curated) as connection:
        return _reserve(connection, raw, repositories, reason)


def reserved(curated: "Engine") -> dict[str, str]:
    """The repositories that are kept for evaluation, each with the reason."""
    with reading(curated) as connection:
        rows = connection.execute(select(_RESERVED).order_by(_RESERVED.c.repository)).mappings()
        return {row["repository"]: row["reason"] for row in rows}


def reserved_repositories(curated: "Engine", raw: "Engine") -> dict[str, str]:
    """The repositories of which nothing may be trained on, each with the reason: those that are reserved, and those
    that campaigns ran on which are copies of reserved ones, by what is known of their content."""
    held = reserved(curated)
    return copies_among(raw, held, curated) | held


def freeze(curated: "Engine", raw: "Engine", evaluation_set: EvaluationSet) -> str:
    """Store a set for good and reserve its repositories, both or neither; the set's id. Repeating it changes nothing.

    Raises EvaluationError for a set without items, GuardrailError `held-out` if a training has used a repository.
    """
    if not evaluation_set.items:
        raise EvaluationError(f"the {evaluation_set.target.value} set has no items; name repositories with gold runs")
    row = EvaluationSetRow(
        id=evaluation_set.id,
        target=evaluation_set.target.value,
        items=len(evaluation_set.items),
        repositories=list(evaluation_set.repositories),
        content=evaluation_set.model_dump_json(),
    )
    with writing(curated) as connection:
        _reserve(connection, raw, evaluation_set.repositories, f"evaluation of {evaluation_set.target.value}")
        add(connection, row)
    return row.id


def latest_set(curated: "Engine", target: TrainingTarget) -> EvaluationSet:
    """The newest set of a target.

    Raises EvaluationError if there is none, or if its content is not what was frozen.
    """
    query = select(_SETS).where(_SETS.c.target == target.value).order_by(_SETS.c.created_at.desc(), _SETS.c.id).limit(1)
    with reading(curated) as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        raise EvaluationError(
            f"no evaluation set of {target.value} is frozen; make one with "
            f"`cra eval-sets build --target {target.value} --repository NAME`"
        )
    return _read(row)


def all_sets(curated: "Engine") -> list[EvaluationSet]:
    """Every frozen set, the oldest first. Raises EvaluationError if a content is not what was frozen."""
    with reading(curated) as connection:
        rows = connection.execute(select(_SETS).order_by(_SETS.c.created_at, _SETS.c.id)).mappings().all()
    return [_read(row) for row in rows]


def require_untrained(raw: "Engine", repositories: Iterable[str]) -> None:
    """Raise GuardrailError if a repository, or one that is known to be a copy of it, was trained on."""
    used, names = trained_repositories(raw), sorted(set(repositories))
    for name in sorted(set(names) & set(used)):
        raise GuardrailError(
            HELD_OUT,
            f"repository {name!r} was trained on (dataset {used[name][:12]}), so it can evaluate nothing; "
            "choose one that no training has used",
        )
    for name, why in sorted(copies_among(raw, names).items()):
        if name in used:
            raise GuardrailError(
                HELD_OUT,
                f"repository {name!r} was trained on (dataset {used[name][:12]}), and {why}; "
                "choose one that no training has used",
            )


def _reserve(connection: Connection, raw: "Engine", repositories: Iterable[str], reason: str) -> list[str]:
    names = sorted(set(repositories))
    require_untrained(raw, names)
    keep_contents(connection, raw, names)
    return [name for name in names if add(connection, Reservation(repository=name, reason=reason))]


def _read(row: RowMapping) -> EvaluationSet:
    if hashlib.sha256(row["content"].encode()).hexdigest() != row["id"]:
        raise EvaluationError(
            f"evaluation set {row['id'][:12]} ({row['target']}) was changed after it was frozen; "
            "restore the curated database from a copy, or build the set again"
        )
    return EvaluationSet.model_validate_json(row["content"])
