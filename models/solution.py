"""What came of solving a task: the plans as they ended up, every step's result, and why the loop stopped."""

from enum import StrEnum

from models.context import ContextPackage
from models.plans import Frozen, MetaPlan, PartPlan, StepResult, StepStatus, TestPlan


class StopReason(StrEnum):
    """Why the main loop stopped. Only `finished` says that the whole plan was gone through."""

    FINISHED = "finished"
    STOPPED = "stopped"  # the planner said so in an adjustment
    PLAN_MALFORMED = "plan-malformed"  # a planning stage's answer was malformed twice
    TOO_MANY_PARTS = "too-many-parts"
    TOO_MANY_STEPS = "too-many-steps"
    TOO_MANY_REVISIONS = "too-many-revisions"
    PROMPT_TOO_LONG = "prompt-too-long"  # a stage's question outgrew the window of the model that answers it


class Solution(Frozen):
    """The outcome of the main loop. `meta` is None if there never was a well-formed plan.

    `step_results` holds a result for each step of each plan that was begun, in the order taken.
    """

    meta: MetaPlan | None
    part_plans: tuple[PartPlan, ...] = ()
    test_plans: tuple[TestPlan, ...] = ()
    step_results: tuple[StepResult, ...] = ()
    context: ContextPackage | None = None
    stopped_reason: StopReason
    detail: str = ""

    @property
    def complete(self) -> bool:
        """Whether the plan was gone through and every step of it was done."""
        done = all(result.status is StepStatus.DONE for result in self.step_results)
        return done and self.stopped_reason is StopReason.FINISHED
