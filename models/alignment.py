"""How much of a gold patch's structure a plan covers."""

from pydantic import Field

from models.plans import Frozen


class Alignment(Frozen):
    """Structural agreement of a plan with a gold patch, each from 0 (none) to 1 (identical)."""

    files: float = Field(ge=0, le=1, description="F1 of planned against changed files")
    symbols: float = Field(ge=0, le=1, description="F1 of planned against changed symbols")
    order: float = Field(ge=0, le=1, description="share of dependent pairs that the plan orders correctly")
