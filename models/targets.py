"""Training targets. A separate, light module: the command line names targets in its help."""

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from models.protocols import Stage

Role = Literal["reasoning", "coding"]


class TrainingTarget(StrEnum):
    """What an adapter is trained for: one stage, or all plan stages together."""

    TASK_ANALYSIS = "task_analysis"
    SCOPE = "scope"
    PRECISION = "precision"
    CODE = "code"
    PLANNING = "planning"

    @property
    def stages(self) -> "tuple[Stage, ...]":
        """The stages that such an adapter answers."""
        from models.protocols import Stage

        if self is TrainingTarget.PLANNING:
            return (Stage.META_PLAN, Stage.PART_PLAN, Stage.TEST_PLAN, Stage.ADJUSTMENT)
        return (Stage(self.value),)

    @property
    def role(self) -> Role:
        """The role whose base it belongs to."""
        return "coding" if self is TrainingTarget.CODE else "reasoning"
