"""Training targets. A separate, light module: the command line names targets in its help."""

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from models.errors import UsageError

if TYPE_CHECKING:
    from models.protocols import Stage

Role = Literal["reasoning", "coding"]


class TrainingTarget(StrEnum):
    """What an adapter is trained for: one stage, all plan stages together, or to compare changes (`critic`), which no
    stage does."""

    TASK_ANALYSIS = "task_analysis"
    SCOPE = "scope"
    PRECISION = "precision"
    CODE = "code"
    PLANNING = "planning"
    CRITIC = "critic"

    @property
    def serves(self) -> bool:
        """Whether such an adapter answers stages: datasets of its prompts are curated, and it may be promoted."""
        return self is not TrainingTarget.CRITIC

    @property
    def stages(self) -> "tuple[Stage, ...]":
        """The stages that such an adapter answers."""
        from models.protocols import Stage

        if not self.serves:
            return ()
        if self is TrainingTarget.PLANNING:
            return (Stage.META_PLAN, Stage.PART_PLAN, Stage.TEST_PLAN, Stage.ADJUSTMENT)
        return (Stage(self.value),)

    @property
    def role(self) -> Role:
        """The role whose base it belongs to."""
        return "coding" if self in (TrainingTarget.CODE, TrainingTarget.CRITIC) else "reasoning"


def require_stages(target: TrainingTarget) -> None:
    """Raise UsageError for a target without stages: it has no dataset, frozen set, gate or turn among the others."""
    if not target.serves:
        raise UsageError(
            f"{target.value} answers no stage, so that nothing is curated, gated or served for it; see `cra critic`"
        )
