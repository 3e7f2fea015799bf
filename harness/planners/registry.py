"""The planners that there are, by name: how each is made, whose models it asks, and whether it plans."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, Protocol

from harness.packages.gold_patch import GoldPatch
from harness.planners.gold import GoldPlanner
from harness.planners.null import NullPlanner
from harness.planners.student import StudentLimits
from models.edits import EditFormat
from models.errors import UsageError
from models.protocols import Planner

ModelTeam = Literal["student", "teacher"]


class PlannerModels(Protocol):
    """What makes planners that are models: `harness.runs.model_pool.ModelPool`."""

    @property
    def limits(self) -> StudentLimits:
        """Those of the student."""
        ...

    def planner(self, name: str, edit_format: EditFormat | None, temperature: float, seed: int) -> Planner:
        """A planner that is a model."""
        ...


@dataclass(frozen=True)
class PlannerInputs:
    """What planners are made from. `gold` reads the gold patch of the instance; `pool` may be None without models."""

    gold: Callable[[], GoldPatch]
    edit_format: EditFormat | None
    temperature: float
    seed: int
    pool: PlannerModels | None


@dataclass(frozen=True)
class PlannerKind:
    """A kind of planner. `team` is whose models it asks, which cost and learn from it; None if it asks none.

    One that does not plan codes from the task alone.
    """

    name: str
    make: Callable[[PlannerInputs], Planner]
    team: ModelTeam | None = None
    plans: bool = True


def _gold(inputs: PlannerInputs) -> Planner:
    limits = inputs.pool.limits if inputs.pool else None
    return GoldPlanner(inputs.gold(), inputs.edit_format or EditFormat.SEARCH_REPLACE, limits)


def _model(name: str, team: ModelTeam, *, plans: bool = True) -> PlannerKind:
    def make(inputs: PlannerInputs) -> Planner:
        assert inputs.pool is not None, "a planner that is a model needs a pool of models"
        return inputs.pool.planner(name, inputs.edit_format, inputs.temperature, inputs.seed)

    return PlannerKind(name, make, team, plans)


_KINDS = (
    PlannerKind("gold", _gold),
    PlannerKind("null", lambda inputs: NullPlanner()),
    _model("teacher", "teacher"),
    _model("student", "student"),
    _model("no-plan", "student", plans=False),  # the control of the student, so it asks the same models
)
PLANNERS = {kind.name: kind for kind in _KINDS}
"""Every kind by its name; one more is one more entry."""
TEAMS = {kind.name: kind.team for kind in _KINDS if kind.team is not None}
"""Whose models a planner asks, of those that ask any."""


def check_planners(names: Collection[str]) -> None:
    """Raises UsageError for the first name that is no planner's."""
    for name in names:
        if name not in PLANNERS:
            raise UsageError(f"--planner {name} is unknown; the planners are {', '.join(PLANNERS)}")
