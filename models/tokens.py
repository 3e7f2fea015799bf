"""Estimates of the tokens in a text without its tokenizer, and the token budget of each stage's prompt."""

import re

from models.protocols import Stage

KIB = 1024
WINDOWS: dict[Stage, int] = {stage: 8 * KIB if stage is Stage.TASK_ANALYSIS else 32 * KIB for stage in Stage}
"""Context window of each stage in tokens, answer included; a model with a smaller one lowers it."""
SMALLEST_SHARE = 4
"""Divisor of a window that is smaller than the stage's own: the largest share of it for an answer."""
_PIECE = re.compile(r" ?[A-Z]?[a-z]{1,6}| ?[A-Z]{1,2}|[0-9]|_| ?[^\w\s]|\s+|[^\x00-\x7f]")
"""Pieces that byte-level vocabularies encode as one token or more: short words and prefixes, single digits."""
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
"""Tokens of a stage's answer, thinking not counted."""
THINKING_TOKENS = 8 * KIB
"""Tokens of a thinking trace, in addition to the answer."""


def estimate_tokens(text: str) -> int:
    """Tokens of a text, estimated on the high side from the pieces that a tokenizer would not join.

    Not a bound: runs of white space, tabs and names that are not words have more tokens than estimated. Whole files of
    Python and prose come to 0.93 to 1.3 times their count by SmolLM2's tokenizer (benchmarks/token_estimate.py).
    """
    beyond = 0 if text.isascii() else len(text.encode(errors="surrogatepass")) - len(text)
    return len(_PIECE.findall(text)) + beyond // 2 + 1
