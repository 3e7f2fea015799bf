"""What is left of a campaign, known before an engine starts: nothing, or planners whose models must answer."""

from collections.abc import Sequence

from harness.packages.package import RepoPackage
from harness.planners.registry import TEAMS
from harness.runs.campaign_context import CampaignContext, assignments
from models.campaign_settings import Grid
from models.errors import UsageError
from runtime.trees import Runtime


def open_planners(
    campaign_id: str, packages: Sequence[RepoPackage], grid: Grid, context: CampaignContext, runtime: Runtime
) -> set[str]:
    """Planners with trajectories that are not closed; none means that nothing is left to run.

    Only if as many are closed as the campaign has is each looked at, and registered as the campaign's flow does: a
    planner whose models were changed has other trajectories than those. Raises UsageError if no instance is valid,
    and ProviderError if a server has to be asked for its window and does not answer.
    """
    instances = sum(
        len([instance for instance in package.manifest.instances if instance.valid][: grid.limit])
        for package in packages
    )
    if not instances:
        names = ", ".join(str(package.directory) for package in packages)
        raise UsageError(f"no package of {names} has a valid instance; see `cra corpus show`")
    draws = [draw.planner for draw in grid.draws(frozenset(TEAMS))]
    closed = context.store.closed_by_planner(campaign_id)
    if unfinished := {name for name in draws if closed.get(name, 0) < instances * draws.count(name)}:
        return unfinished
    every = [each for package in packages for each in assignments(campaign_id, package, grid, context, runtime)]
    done = context.store.closed([each.key for each in every])
    return {each.planner for each in every if each.key not in done}
