"""Which validation rows may stop a full fine-tune; the others judge the base that comes of it.

The rows of each repository take turns, those of one source and stage after another, and the first one judges: a gate
tests over repositories, so that none is lost to it, and every objective has rows on both sides where it can. The same
rows give the same halves in training and evaluation.
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
    return {row for places in of_repository.values() for *_, row in sorted(places)[1::2]}
