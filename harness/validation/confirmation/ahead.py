"""Twins of an instance before any candidate is judged: recorded ahead of a campaign, and counted."""

from harness.packages.package import RepoPackage
from harness.validation.confirmation.confirm import place_of, twins_of
from harness.validation.confirmation.recorded import TwinSet, read_recorded
from harness.validation.judged_tree import JudgedTree
from models.manifest import Instance
from runtime.trees import Runtime


def record_twins(runtime: Runtime, package: RepoPackage, instance: Instance) -> TwinSet:
    """The twins of a valid instance, recorded now if not before.

    Raises EnvironmentFault, WheelError, BuildFailed, Unreadable and InfrastructureError.
    """
    with package.provisioned(runtime, instance) as provided:
        judged = JudgedTree(runtime, package, instance, provided, instance.commit, {})
        return twins_of(judged, package.identity_of(instance) or "")


def count_with_twins(runtime: Runtime, package: RepoPackage) -> int:
    """How many valid instances of a package have twins, as far as they are recorded."""
    count = 0
    for instance in package.manifest.instances:
        if instance.valid and instance.environment is not None:
            folder, key = place_of(runtime, instance, package.identity_of(instance) or "")
            recorded = read_recorded(TwinSet, folder, key)
            count += recorded is not None and bool(recorded.kept)
    return count
