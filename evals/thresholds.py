"""Metrics, thresholds and margins of each target, and the gate's rules."""

from typing import NamedTuple

from pydantic import Field

from models.plans import Frozen
from models.protocols import Stage
from models.training import TrainingTarget

ALPHA = 0.05
REPOSITORIES = 6
"""With fewer, a sign-flip test over repositories cannot reach 5%: with G of them the smallest two-sided p is 2/2^G."""


class Metric(NamedTuple):
    """A metric, between 0 and 1. `threshold` is the goal of a first adapter; None: more than its base.

    `margin` is the largest loss that counts as none (non-inferiority margin).
    """

    name: str
    threshold: float | None
    margin: float


class Requirement(NamedTuple):
    """How a target is evaluated: primary metrics, and the least and most items of a set.

    `held` are metrics whose loss vetoes a promotion but whose gain does not promote; one without items in the set is
    skipped. `pooled` are primary in place of `metrics`, which are held then, where all judgements of a repository can
    be taken together, on enough repositories. `structural` are primary in addition, where every answer has them.
    """

    metrics: tuple[Metric, ...]
    items: tuple[int, int]
    held: tuple[Metric, ...] = ()
    pooled: tuple[Metric, ...] = ()
    structural: tuple[Metric, ...] = ()


MARGIN = 0.05
WORTH = 0.05
"""The difference of a primary metric for which power is stated."""
HELD_ALPHA = 0.20
"""One-sided p over items at which a held metric's fall beyond its margin counts: a veto should be easy, but not caused
by one item in ten."""
PASS = "pass@1"
FILE_COVERAGE, DEPENDENCY_ORDER, PLAN_STRUCTURE = "file_coverage", "dependency_order", "plan_structure"
STEP_SUCCESS = "step_success"


def stage_pass(stage: Stage) -> str:
    """The name of the pass rate over the items of one stage."""
    return f"{PASS} {stage.value}"


_JUDGING = (Metric("average_precision", None, MARGIN), Metric("pooled_macro_f1", None, MARGIN))
"""Of judges: neither rewards calling everything by one class."""

REQUIREMENTS: dict[TrainingTarget, Requirement] = {
    TrainingTarget.TASK_ANALYSIS: Requirement(
        (Metric("recall", 0.80, MARGIN), Metric("precision", 0.60, MARGIN)), (200, 500)
    ),
    TrainingTarget.SCOPE: Requirement(
        (Metric("accuracy", 0.75, MARGIN), Metric("relevant_recall", 0.85, MARGIN)), (200, 500), pooled=_JUDGING
    ),
    TrainingTarget.PRECISION: Requirement(
        (Metric("accuracy", 0.70, MARGIN), Metric("primary_recall", 0.80, MARGIN)), (200, 500), pooled=_JUDGING
    ),
    TrainingTarget.CODE: Requirement((Metric(PASS, None, MARGIN),), (100, 300)),
    TrainingTarget.PLANNING: Requirement(
        (Metric(PASS, None, MARGIN),),
        (50, 200),
        held=tuple(Metric(stage_pass(stage), None, MARGIN) for stage in TrainingTarget.PLANNING.stages),
        structural=(Metric(PLAN_STRUCTURE, None, MARGIN), Metric(STEP_SUCCESS, None, MARGIN)),
    ),
}

LEAST_RECALLS: dict[str, float] = {
    metric.name.removesuffix("_recall"): metric.threshold
    for requirement in REQUIREMENTS.values()
    for metric in requirement.metrics
    if metric.name.endswith("_recall") and metric.threshold is not None
}
"""The recall that is asked for of a class, by its name."""


class Rules(Frozen):
    """How a gate decides.

    `item_level`: whether evidence over items alone may promote if there are too few repositories to generalise. The
    verdict then says so.
    """

    alpha: float = Field(ALPHA, gt=0, lt=0.5, description="most chance of promoting a challenger that is no better")
    margin: float | None = Field(
        None, ge=0, lt=1, description="largest loss of a primary metric that counts as none; unset: the metric's own"
    )
    repositories: int = Field(REPOSITORIES, ge=REPOSITORIES, description="fewer do not generalise to others")
    item_level: bool = Field(False, description="promote on evidence over items if repositories are too few")
    seed: int = Field(0, ge=0, description="seed of the resampling")
