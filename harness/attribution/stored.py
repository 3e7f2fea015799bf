"""Stored attributions of a trajectory's attempts: each is computed once."""

from typing import TYPE_CHECKING

from harness.attribution.decide import attribute
from harness.attribution.experiments import AttributionExperiments
from harness.runs.attempt import InstanceContext
from harness.runs.verdicts import stored_judge
from models.attribution import Attribution, attributable
from models.files import Overlay
from models.outcomes import OutcomeKind
from models.solution import Solution

if TYPE_CHECKING:
    from store.runs import RawStore


def attribute_attempt(
    store: "RawStore",
    trajectory: str,
    attempt: int,
    instance: str,
    instance_context: InstanceContext,
    solution: Solution,
    work: Overlay,
    outcome: OutcomeKind,
    planned: bool = True,
) -> Attribution | None:
    """The stage at which an attempt failed, by experiment; None for an outcome that is not a model's failure.

    `trajectory` and `instance` are keys, `work` the files that the attempt left, `planned` whether its planner plans.
    The attribution and its verdicts are stored, so a repeated call costs nothing. Raises EnvironmentFault, WheelError
    and InfrastructureError.
    """
    if not attributable(outcome):
        return None
    if (found := store.find_attribution(trajectory, attempt)) is not None:
        return found
    lab = AttributionExperiments(instance_context, stored_judge(store, instance_context, instance))
    return store.store_attribution(trajectory, attempt, attribute(lab, solution, work, outcome, planned))
