"""What is left of a campaign, known before an engine starts: nothing, or planners whose models must answer."""

from collections.abc import Iterator, Sequence

from harness.packages.package import RepoPackage
from harness.planners.registry import TEAMS
from harness.runs.attempt import InstanceContext
from harness.runs.campaign_context import CampaignContext
from models.campaign_settings import Grid
from models.errors import UsageError
from models.manifest import Instance
from runtime.trees import Runtime
from store.keys import instance_key, trajectory_key


def open_planners(
    campaign_id: str, packages: Sequence[RepoPackage], grid: Grid, context: CampaignContext, runtime: Runtime
) -> set[str]:
    """Planners with trajectories that are not closed; none means that nothing is left to run. Stores nothing.

    Only if as many are closed as the campaign has is each looked at: a planner whose models were changed has other
    trajectories than those. Raises UsageError if no instance is valid, and ProviderError if a server has to be asked
    for its window and does not answer.
    """
    instances = sum(len(_valid(package, grid)) for package in packages)
    if not instances:
        names = ", ".join(str(package.directory) for package in packages)
        raise UsageError(f"no package of {names} has a valid instance; see `cra corpus show`")
    draws = [draw.planner for draw in grid.draws(frozenset(TEAMS))]
    closed = context.store.closed_by_planner(campaign_id)
    if unfinished := {name for name in draws if closed.get(name, 0) < instances * draws.count(name)}:
        return unfinished
    keys = dict(_keys(campaign_id, packages, grid, context, runtime))
    done = context.store.closed(keys)
    return {planner for key, planner in keys.items() if key not in done}


def _valid(package: RepoPackage, grid: Grid) -> list[Instance]:
    return [instance for instance in package.manifest.instances if instance.valid][: grid.limit]


def _keys(
    campaign_id: str, packages: Sequence[RepoPackage], grid: Grid, context: CampaignContext, runtime: Runtime
) -> Iterator[tuple[str, str]]:
    """Each trajectory's key and planner; the keys are those that `campaign_context.assignments` opens."""
    for package in packages:
        for instance in _valid(package, grid):
            at, within = InstanceContext(runtime, package, instance), instance_key(package.manifest.name, instance)
            identities = {name: context.planner(name, at).identity for name in dict.fromkeys(grid.planners)}
            for draw in grid.draws(frozenset(TEAMS)):
                identity = identities[draw.planner]
                yield (
                    trajectory_key(campaign_id, within, draw.planner, identity, draw.temperature, draw.sample),
                    draw.planner,
                )
