"""Which commits are worth keeping, in numbers."""

from pydantic import Field

from models.plans import Frozen


class MiningRules(Frozen):
    """Bounds of a commit that one person could be asked for in one sentence.

    Both sizes count production and test code only: a changelog entry beside the code is no reason to drop it.
    """

    max_files: int = Field(5, ge=1, description="code files that a commit may change")
    max_lines: int = Field(199, ge=1, description="lines of code, added and deleted together, that it may change")
    min_words: int = Field(3, ge=1, description="words that a subject needs, without prefixes and references")
