"""The result of solving a task: the final plans, every step's result, and why the loop stopped."""

from enum import StrEnum

from models.context import ContextPackage
from models.plans import Frozen, MetaPlan, PartPlan, StepResult, StepStatus, TestPlan


class StopReason(StrEnum):
    """Why the main loop stopped. Only `finished` means that the whole plan was carried out."""

    FINISHED = "finished"
    STOPPED = "stopped"  # by the planner, in an adjustment
    PLAN_MALFORMED = "plan-malformed"  # a planning stage's answer was malformed twice
    TOO_MANY_PARTS = "too-many-parts"
    TOO_MANY_STEPS = "too-many-steps"
    TOO_MANY_REVISIONS = "too-many-revisions"
    PROMPT_TOO_LONG = "prompt-too-long"  # a stage's prompt exceeds the window of its model


class Solution(Frozen):
    """The outcome of the main loop. `meta` is None if no plan was well-formed.

    `step_results` holds a result for each step of each plan that was started, in the order taken.
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
        """Whether the whole plan was carried out and every step of it is done."""
        done = all(result.status is StepStatus.DONE for result in self.step_results)
        return done and self.stopped_reason is StopReason.FINISHED
