"""Frozen evaluation sets and the repositories that are held out for them.

A repository must be reserved before it is trained on, and stays reserved: the database refuses to change or delete a
row.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from evals.sets.copies import copies_among
from models.errors import EvaluationError, GuardrailError
from models.evaluation import EvaluationSet
from models.training import TrainingTarget
from store.database import reading
from store.learning.datasets import trained_repositories
from store.learning.evaluation_sets import add_set, newest_set
from store.learning.reservations import add_reservations, reserved
from store.rows import writing
from store.runs.corpus import read_contents, read_origins

if TYPE_CHECKING:
    from store.database import Connection, Engine

HELD_OUT = "held-out"


def reserve(curated: "Engine", raw: "Engine", repositories: Iterable[str], reason: str) -> list[str]:
    """Reserve repositories for evaluation permanently; returns the newly reserved ones, sorted.

    Raises GuardrailError `held-out`, and reserves none, if a training has used one of them.
    """
    with writing(curated) as connection:
        return _reserve(connection, raw, repositories, reason)


def reserved_repositories(curated: "Engine", raw: "Engine") -> dict[str, str]:
    """The repositories that must not be trained on, each with the reason: reserved ones, the names of their origins
    (`dateutil` of the distribution python-dateutil), and copies of them (by content) that campaigns ran on."""
    held = reserved(curated)
    with reading(raw) as connection:
        origins = read_origins(connection, held)
    names = {_last(origin): f"it names the origin of {name!r}" for name, origin in origins}
    names |= {_last(name): f"it is another spelling of {name!r}" for name in held}
    return copies_among(raw, held, curated) | names | held


def _last(origin: str) -> str:
    """The last component of an origin, as public datasets and packages name repositories."""
    return str(canonicalize_name(re.split(r"[/:]", origin.rstrip("/"))[-1].removesuffix(".git")))


def freeze(curated: "Engine", raw: "Engine", evaluation_set: EvaluationSet) -> str:
    """Store a set permanently and reserve its repositories, in one transaction; returns the set's id. Idempotent.

    Raises EvaluationError for a set without items, GuardrailError `held-out` if a training has used a repository.
    """
    if not evaluation_set.items:
        raise EvaluationError(f"the {evaluation_set.target.value} set has no items; name repositories with gold runs")
    with writing(curated) as connection:
        _reserve(connection, raw, evaluation_set.repositories, f"evaluation of {evaluation_set.target.value}")
        add_set(connection, evaluation_set)
    return evaluation_set.id


def latest_set(curated: "Engine", target: TrainingTarget) -> EvaluationSet:
    """The newest set of a target.

    Raises EvaluationError if there is none, or if its content was changed.
    """
    found = newest_set(curated, target)
    if found is None:
        raise EvaluationError(
            f"no evaluation set of {target.value} is frozen; make one with "
            f"`cra eval-sets build --target {target.value} --repository NAME`"
        )
    return found


def require_untrained(raw: "Engine", repositories: Iterable[str]) -> None:
    """Raise GuardrailError if a repository, or one that is known to be a copy of it, was trained on."""
    used, names = trained_repositories(raw), sorted(set(repositories))
    for name in sorted(set(names) & set(used)):
        raise GuardrailError(
            HELD_OUT,
            f"repository {name!r} was trained on (dataset {used[name][:12]}), so it cannot be used for evaluation; "
            "choose one that no training has used",
        )
    for name, why in sorted(copies_among(raw, names).items()):
        if name in used:
            raise GuardrailError(
                HELD_OUT,
                f"repository {name!r} was trained on (dataset {used[name][:12]}), and {why}; "
                "choose one that no training has used",
            )


def _reserve(connection: "Connection", raw: "Engine", repositories: Iterable[str], reason: str) -> list[str]:
    names = sorted(set(repositories))
    require_untrained(raw, names)
    with reading(raw) as known:
        contents = [(name, content) for name, content in read_contents(known) if name in names]
    return add_reservations(connection, names, reason, contents)
