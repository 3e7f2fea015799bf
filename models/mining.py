"""Limits on the commits that mining keeps."""

from pydantic import Field

from models.plans import Frozen


class MiningRules(Frozen):
    """Bounds of a commit that could be requested in one sentence.

    Both sizes count production and test code only: a changelog entry next to the code does not count.
    """

    max_files: int = Field(5, ge=1, description="most code files changed by a commit")
    max_lines: int = Field(199, ge=1, description="most lines of code, added plus deleted")
    min_words: int = Field(3, ge=1, description="fewest words of a subject, without prefixes and references")
