"""Step success: the share of a plan's steps whose edits applied and broke no affected test, from recorded runs.

Plans differ in this where hardly any run passes. A step is judged by its last attempt, as the loop judges it: tests
that failed before it are not its fault (`agent/regressions.py`). A step that was planned and not begun is no success;
where no tests were run after steps, edits that apply are all that is known.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agent.regressions import BASELINE, failing_by_id, step_purpose
from models.plans import PartPlan
from store.runs.step_events import StepEdit, StepEvent, StepTestRun


def step_success(events: Sequence[StepEvent]) -> float | None:
    """The share of all planned steps that succeeded; None without any."""
    return share_of(planned_steps(events))


class PlannedSteps(NamedTuple):
    """The steps of one plan: whether each succeeded, and whether it did at the first attempt."""

    plan: PartPlan
    succeeded: dict[str, bool]
    at_once: dict[str, bool]


def planned_steps(events: Sequence[StepEvent]) -> list[PlannedSteps]:
    """The plans among the events, each with what came of its steps."""
    replay = _Replay()
    for event in events:
        replay.take(event)
    return replay.plans


def share_of(plans: Iterable[PlannedSteps]) -> float | None:
    """The share of the steps of some plans that succeeded; None without any."""
    done = [succeeded for plan in plans for succeeded in plan.succeeded.values()]
    return sum(done) / len(done) if done else None


class _Replay:
    """The steps of each plan and whether they succeeded so far, by the events taken."""

    def __init__(self) -> None:
        self.plans: list[PlannedSteps] = []
        self._edit: StepEdit | None = None
        self._failing: dict[str, bool] = {}
        self._latest: dict[str, bool] = {}

    def take(self, event: StepEvent) -> None:
        if isinstance(event, StepEdit):
            self._apply(event)
        elif isinstance(event, StepTestRun):
            self._test(event)
        else:
            self._begin(event)

    def _begin(self, plan: PartPlan) -> None:
        undone = {step.id: False for step in plan.steps}
        self.plans.append(PlannedSteps(plan, dict(undone), dict(undone)))
        self._edit = None

    def _apply(self, edit: StepEdit) -> None:
        last, self._edit = self._edit, edit
        if last is None or (last.part, last.step) != (edit.part, edit.step):
            self._failing, self._latest = self._failing | self._latest, {}
        if not self.plans or edit.step not in self.plans[-1].succeeded:
            return  # of a planner that plans nothing
        steps = self.plans[-1]
        before = last is None or last[:3] != edit[:3] or steps.succeeded[edit.step]
        self._judge(steps, edit, before and edit.error is None)

    def _test(self, run: StepTestRun) -> None:
        failing = failing_by_id(run.report)
        if run.purpose == BASELINE:
            known = self._failing.keys() | self._latest.keys()
            self._failing |= {name: fails for name, fails in failing.items() if name not in known}
            return
        edit = self._edit
        if edit is None or run.purpose != step_purpose(edit.part, edit.step, edit.attempt):
            return
        self._latest |= failing
        broken = any(fails and not self._failing.get(name, False) for name, fails in failing.items())
        if broken and self.plans and edit.step in self.plans[-1].succeeded:
            self._judge(self.plans[-1], edit, False)

    def _judge(self, steps: PlannedSteps, edit: StepEdit, succeeded: bool) -> None:
        steps.succeeded[edit.step] = succeeded
        if edit.attempt == 0:
            steps.at_once[edit.step] = succeeded
