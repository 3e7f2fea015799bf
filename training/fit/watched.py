"""Which validation rows may stop a full fine-tune; the others judge the base that comes of it.

A row's side follows from its id alone, so that the training and the evaluation agree without asking each other. The
rows of a repository are on both sides: its repositories are few, and a gate needs six.
"""

import hashlib


def may_stop(row: str) -> bool:
    """Whether a validation row, by its id, belongs to the half that a training may watch."""
    return hashlib.sha256(f"stop {row}".encode()).digest()[0] % 2 == 0
