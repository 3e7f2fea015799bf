"""How many tokens a text has when nobody can say exactly, and how many a stage's prompt may have."""

from models.protocols import Stage

KIB = 1024
WINDOWS: dict[Stage, int] = {stage: 8 * KIB if stage is Stage.TASK_ANALYSIS else 32 * KIB for stage in Stage}
"""Context window of each stage in tokens, answer included; a model with a smaller one lowers it."""
SMALLEST_SHARE = 4
"""An answer has at most one part in so many of a window that is smaller than the stage's own."""
BYTES_PER_TOKEN = 3.0
"""Code and English have 3.2 to 4.5 bytes per token with the byte-level vocabularies of today: an upper bound."""
ANSWER_TOKENS: dict[Stage, int] = {
    Stage.TASK_ANALYSIS: 512,
    Stage.SCOPE: 2048,
    Stage.PRECISION: 3072,
    Stage.META_PLAN: 2048,
    Stage.PART_PLAN: 2048,
    Stage.CODE: 6144,
    Stage.TEST_PLAN: 1536,
    Stage.ADJUSTMENT: 1536,
}
"""Tokens that a stage's answer may have, thinking not counted."""


def estimate_tokens(text: str) -> int:
    """Tokens of a text, estimated on the high side from its UTF-8 length."""
    return int(len(text.encode()) / BYTES_PER_TOKEN) + 1
