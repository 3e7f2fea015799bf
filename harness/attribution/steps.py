"""The steps of a plan as it was carried out, with the result of each."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.packages.gold_patch import GoldFileChange, GoldPatch
from models.plans import PlanStep, StepResult, StepStatus, Target
from models.solution import Solution
from repos.index.symbols import base_name, symbols


@dataclass(frozen=True)
class PlannedStep:
    """A step, and how it ended; None for a part that was never begun, whose own targets replace its steps."""

    name: str
    step: PlanStep
    status: StepStatus | None

    @property
    def taken(self) -> bool:
        """Whether the coder was asked for it."""
        return self.status not in (None, StepStatus.NOT_RUN)

    @property
    def failed(self) -> bool:
        """Whether the coder was asked and did not make it."""
        return self.status in (StepStatus.EDIT_REJECTED, StepStatus.TESTS_FAILED)


def planned_steps(solution: Solution, gold: GoldPatch) -> list[PlannedStep]:
    """All steps of a solution's plans in planned order, taken or not, with symbols spelled as in `gold`.

    Steps dropped by a revision are included, as not taken.
    """
    changes = (*gold.production, *gold.tests)
    results = deque(solution.step_results)
    planned: list[PlannedStep] = []
    tests = {plan.part_id: plan for plan in solution.test_plans}
    for part_plan in solution.part_plans:
        for plan in (part_plan, *filter(None, [tests.get(part_plan.part_id)])):
            for step in plan.in_order():
                status = _status(results, plan.part_id, step)
                planned.append(PlannedStep(f"{plan.part_id}/{step.id}", _spelled(step, changes), status))
    begun = {plan.part_id for plan in solution.part_plans}
    for part in solution.meta.in_order() if solution.meta else []:
        if part.id not in begun and part.targets:
            step = PlanStep(id=part.id, description=part.description, targets=part.targets)
            planned.append(PlannedStep(part.id, _spelled(step, changes), None))
    return planned


def _status(results: "deque[StepResult]", part_id: str, step: PlanStep) -> StepStatus:
    if results and (results[0].part_id, results[0].step_id) == (part_id, step.id):
        return results.popleft().status
    return StepStatus.NOT_RUN


def _spelled(step: PlanStep, changes: Iterable[GoldFileChange]) -> PlanStep:
    by_path = {path: change for change in changes for path in (change.path, change.old_path) if path}
    targets = tuple(_target(target, by_path.get(target.path)) for target in step.targets)
    return step.model_copy(update={"targets": tuple(dict.fromkeys(targets))})


def _target(target: Target, change: GoldFileChange | None) -> Target:
    """A target with its symbol as the index spells it: no call, no path, with the class that the name implies."""
    if target.symbol is None:
        return target
    symbol = target.symbol.rpartition("::")[2].split("(")[0].strip("` ") or None
    if symbol is not None and change is not None:
        known = set(_names(change))
        inside = sorted(name for name in known if name.endswith(f".{symbol}"))
        if symbol not in known and len(inside) == 1:
            symbol = inside[0]
    return target.model_copy(update={"symbol": symbol})


def _names(change: GoldFileChange) -> Iterator[str]:
    for side in (change.before, change.after):
        if side is not None:
            yield from (base_name(symbol.name) for symbol in symbols(side.text, change.path))
