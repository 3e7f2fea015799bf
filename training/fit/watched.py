"""Which validation rows may stop a full fine-tune; the others judge the base that comes of it.

The rows of each repository take turns, those of one source and stage after another. A single one judges: a gate tests
over repositories, so that none is lost to it. In half of the repositories the first one stops and in half it judges:
else a stage with one row in each would be on one side everywhere. The same rows give the same halves in training and
evaluation.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any


def stopping_rows(validation: Iterable[Mapping[str, Any]]) -> set[str]:
    """The ids of the rows that a training may watch, of all validation records of a dataset."""
    of_repository: dict[str, list[tuple[str, str, bytes, str]]] = {}
    for record in validation:
        row = str(record["id"])
        place = (record["source"], record["stage"], hashlib.sha256(f"stop {row}".encode()).digest(), row)
        of_repository.setdefault(record.get("provenance", {}).get("repository", ""), []).append(place)
    return {row for name, places in of_repository.items() for *_, row in sorted(places)[_first(name, len(places)) :: 2]}


def _first(repository: str, rows: int) -> int:
    """The place of the first row that may stop a training."""
    return 1 if rows == 1 else hashlib.sha256(f"stop {repository}".encode()).digest()[0] % 2
