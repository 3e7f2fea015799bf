"""Which validation rows may stop a full fine-tune; the others judge the base that comes of it.

The rows of each repository take turns, in the order of their ids' hashes, and the first one judges: a gate tests over
repositories, so that none is lost to it. The same rows give the same halves in training and evaluation.
"""

import hashlib
from collections.abc import Iterable


def stopping_rows(validation: Iterable[tuple[str, str]]) -> set[str]:
    """The ids of the validation rows that a training may watch, of all (id and repository of each)."""
    of_repository: dict[str, list[str]] = {}
    for row, repository in validation:
        of_repository.setdefault(repository, []).append(row)
    return {row for rows in of_repository.values() for row in sorted(rows, key=_place)[1::2]}


def _place(row: str) -> bytes:
    return hashlib.sha256(f"stop {row}".encode()).digest()
