"""Plans parsed from a planning stage's JSON; prose around it is tolerated, a bad plan is not."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from agent.answers import read_answer
from models.errors import EditError, PlanError
from models.plans import MetaPlan, MetaPlanPart, PartPlan, PlanAdjustment, PlanStep, Target, TestPlan
from repos.edit_paths import check_path


def parse_meta_plan(text: str) -> MetaPlan:
    """The meta plan in an answer.

    Raises PlanError, one line, for bad JSON, a wrong shape, a cycle, an unknown id, a path outside the tree.
    """
    plan = read_answer(MetaPlan, text, "parts")
    plan.in_order()
    _check_targets(plan.parts)
    return plan


def parse_part_plan(text: str, part: MetaPlanPart) -> PartPlan:
    """The steps of `part` in an answer; raises PlanError as for a meta plan, and for another part's plan."""
    return _part_plan(PartPlan, text, part)


def parse_test_plan(text: str, part: MetaPlanPart) -> TestPlan:
    """The test steps of `part` in an answer; raises PlanError as `parse_part_plan` does."""
    return _part_plan(TestPlan, text, part)


def parse_adjustment(text: str, begun: Sequence[MetaPlanPart] = ()) -> PlanAdjustment:
    """The decision about the rest of the plan in an answer. New parts may depend on those already begun.

    Raises PlanError as `parse_meta_plan` does; ids of parts already begun cannot be reused.
    """
    adjustment = read_answer(PlanAdjustment, text, "verdict")
    MetaPlan(parts=(*begun, *adjustment.parts)).in_order()
    _check_targets(adjustment.parts)
    return adjustment


P = TypeVar("P", bound=PartPlan)


def _part_plan(kind: type[P], text: str, part: MetaPlanPart) -> P:
    plan = read_answer(kind, text, "steps")
    if plan.part_id != part.id:
        raise PlanError(f"the plan is for part {plan.part_id!r}, but part {part.id!r} was asked for")
    plan.in_order()
    _check_targets(plan.steps)
    return plan


def _check_targets(nodes: Iterable[MetaPlanPart | PlanStep]) -> None:
    for node in nodes:
        for target in node.targets:
            try:
                _check_target(target)
            except EditError as error:
                raise PlanError(f"{node.id!r}: {error}") from error


def _check_target(target: Target) -> None:
    check_path(target.path)
    if target.new_path is not None:
        check_path(target.new_path)
