"""How much of a gold patch's structure a plan has."""

from pydantic import Field

from models.plans import Frozen


class Alignment(Frozen):
    """Structural agreement of a plan with a gold patch, each from 0 (none) to 1 (the same)."""

    files: float = Field(ge=0, le=1, description="F1 of the files planned and the files changed")
    symbols: float = Field(ge=0, le=1, description="F1 of the symbols planned and the symbols changed")
    order: float = Field(ge=0, le=1, description="share of dependent pairs that the plan takes in order")
