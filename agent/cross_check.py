"""A second opinion on a plan: another teacher answers the same prompt, and the files that the two touch are compared.

Only answers are compared, not probabilities: the two models need not share a tokenizer.
"""

import json

from agent.answers import read_answer
from models.errors import PlanError
from models.plans import MetaPlan, PartPlan, PlanAdjustment, Target, TestPlan
from models.protocols import Stage

_KINDS: dict[Stage, tuple[type[MetaPlan | PartPlan | PlanAdjustment], str]] = {
    Stage.META_PLAN: (MetaPlan, "parts"),
    Stage.PART_PLAN: (PartPlan, "steps"),
    Stage.TEST_PLAN: (TestPlan, "steps"),
    Stage.ADJUSTMENT: (PlanAdjustment, "verdict"),
}


def agreement(stage: Stage, first: str, second: str) -> float | None:
    """Agreement of two answers of a planning stage, from 0 to 1; None if one of them cannot be parsed.

    For plans it is the Jaccard index of the files they touch (1 for two empty plans), for adjustments whether the
    verdicts are the same.
    """
    kind, required = _KINDS[stage]
    try:
        one, other = read_answer(kind, first, required), read_answer(kind, second, required)
    except PlanError:
        return None
    if isinstance(one, PlanAdjustment) and isinstance(other, PlanAdjustment):
        return float(one.verdict is other.verdict)
    files, others = _files(one), _files(other)
    return len(files & others) / len(files | others) if files | others else 1.0


def opinion(stage: Stage, model: str, first: str, second: str) -> str:
    """A second opinion as JSON text: its model, its agreement, and its answer."""
    return json.dumps(
        {"model": model, "agreement": agreement(stage, first, second), "text": second}, ensure_ascii=False
    )


def _files(plan: MetaPlan | PartPlan | PlanAdjustment) -> set[str]:
    nodes = plan.steps if isinstance(plan, PartPlan) else plan.parts
    targets: list[Target] = [target for node in nodes for target in node.targets]
    return {path for target in targets for path in (target.path, target.new_path) if path}
