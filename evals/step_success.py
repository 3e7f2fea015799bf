"""Step success: the share of a plan's steps whose edits applied and broke no affected test, from recorded runs.

Plans differ in this where hardly any run passes. A step is judged by its last attempt, as the loop judges it: tests
that failed before it are not its fault (`agent/regressions.py`). A step that was planned and not begun is no success;
where no tests were run after steps, edits that apply are all that is known.
"""

from collections.abc import Sequence

from agent.regressions import BASELINE, failing_by_id, step_purpose
from models.plans import PartPlan
from store.runs.step_events import StepEdit, StepEvent, StepTestRun


def step_success(events: Sequence[StepEvent]) -> float | None:
    """The share of all planned steps that succeeded; None without any."""
    replay = _Replay()
    for event in events:
        replay.take(event)
    done = [succeeded for plan in replay.plans for succeeded in plan.values()]
    return sum(done) / len(done) if done else None


class _Replay:
    """The steps of each plan and whether they succeeded so far, by the events taken."""

    def __init__(self) -> None:
        self.plans: list[dict[str, bool]] = []
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
        self.plans.append({step.id: False for step in plan.steps})
        self._edit = None

    def _apply(self, edit: StepEdit) -> None:
        last, self._edit = self._edit, edit
        if last is None or (last.part, last.step) != (edit.part, edit.step):
            self._failing, self._latest = self._failing | self._latest, {}
        if not self.plans or edit.step not in self.plans[-1]:
            return  # of a planner that plans nothing
        before = last is None or last[:3] != edit[:3] or self.plans[-1][edit.step]
        self.plans[-1][edit.step] = before and edit.error is None

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
        if broken and self.plans and edit.step in self.plans[-1]:
            self.plans[-1][edit.step] = False
