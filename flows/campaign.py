"""The campaign flow: planners over instances, one task per trajectory, a table in the UI that grows as they finish."""

from functools import partial
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from flows.sharing import deployed_run, sharing
from flows.stopping import StopRule
from flows.trajectories import CampaignLabel, run_trajectories
from harness.packages.package import read_package
from harness.planners.registry import check_planners
from harness.runs.campaign_context import Assignment, CampaignContext, assignments, open_campaign_context
from harness.runs.campaigns import campaign_config, with_adapters
from harness.runs.sharding import Shard, make_shards, planner_hashes
from host.code_version import code_version
from host.settings import load_settings
from models.campaign_settings import Grid, StepTestMode
from models.edits import EditFormat
from models.errors import InfrastructureError, UsageError
from models.protocols import Stage
from models.shards import PackageReference, ShardOrder
from store.runs import CampaignReport, open_raw_store
from tasks.runtime import open_runtime


@flow(name="campaign", flow_run_name="campaign {name}", persist_result=False)
def campaign(
    packages: list[Path],
    planners: list[str],
    name: str,
    edit_format: EditFormat | None = None,
    sandbox: str | None = None,
    temperatures: list[float] | None = None,
    samples: int = 1,
    limit: int | None = None,
    max_cost: float | None = None,
    max_tokens: int | None = None,
    step_tests: StepTestMode = StepTestMode.AUTO,
    adapters: dict[Stage, str] | None = None,
) -> CampaignReport:
    """Run each planner, at each temperature and sample, over the valid instances of the packages; return the report.

    Packages are absolute paths, or folders of this machine's corpus.

    Closed trajectories are not run again, so an interrupted campaign resumes. A trajectory that ends in an
    infrastructure fault stays open and does not stop the others, unless all do. The caps apply to this run: when one is
    reached, the campaign ends in order and reports it. `adapters` (served names) replace the active ones. Run from a
    deployment, it shares its work with the other workers of its pool; and if it is itself the run that was started, it
    raises InfrastructureError at the end if trajectories have no verdict, so that its state says so.
    """
    grid = Grid(planners=tuple(planners), temperatures=tuple(temperatures or [0.0]), samples=samples, limit=limit)
    check_planners(planners)
    grid.check()
    settings = with_adapters(load_settings(), adapters or {})
    runtime = open_runtime(settings, sandbox)
    store = open_raw_store(settings.raw_url)
    opened = [read_package(settings.corpus.absolute() / package) for package in packages]  # or an absolute path
    root = deployed_run()
    budget = f"run {flow_run.id}" if root and (max_cost is not None or max_tokens is not None) else None
    context = open_campaign_context(settings, store, edit_format, step_tests, max_cost, max_tokens, budget)
    config = campaign_config(opened, grid, edit_format, step_tests, settings, runtime.sandbox.kind)
    campaign_id = store.register_campaign(config)
    store.start_run(campaign_id, name, flow_run.id or name, [str(p.directory) for p in opened])
    todo = [each for package in opened for each in assignments(campaign_id, package, grid, context, runtime)]
    if not todo:
        raise UsageError(
            f"no package of {', '.join(str(p) for p in packages)} has a valid instance; see `cra corpus show`"
        )
    at_a_time = settings.campaign.trajectories or max(settings.concurrency, context.pool.calls_at_a_time(planners))
    stopping = StopRule(settings.campaign.provider_failures)
    order = ShardOrder(
        name=name,
        campaign_id=campaign_id,
        code=code_version(),
        packages=tuple(PackageReference(folder=p.directory.name, identity=p.identity) for p in opened),
        grid=grid,
        edit_format=edit_format,
        step_tests=step_tests,
        sandbox=runtime.sandbox.kind,
        adapters=adapters or {},
        budget=budget,
        max_cost=max_cost,
        max_tokens=max_tokens,
    )
    shards = make_shards(todo, grid, store.mean_seconds(), at_a_time, settings.campaign.shard_seconds)
    with sharing(root, store, shards, partial(_order_of, order, todo, context)):
        run_trajectories(todo, context, CampaignLabel(name, campaign_id), at_a_time, stopping)
    report = store.report(name).model_copy(update={"stopped": stopping.reason})
    if root and str(root.id) == flow_run.id:  # within another flow, that one decides what an open trajectory means
        check_finished(report)
    return report


def _order_of(campaign: ShardOrder, todo: list[Assignment], context: CampaignContext, shard: Shard) -> ShardOrder:
    """The order of a shard: that of its campaign, with the shard's instances, and the planners of their package."""
    inside = next(each.instance_context for each in todo if each.key == shard.trajectories[0])
    planners = planner_hashes(inside.package, campaign.grid, context, inside.runtime)  # gold's depends on the instance
    return campaign.model_copy(update={"package": shard.package, "instances": shard.instances, "planners": planners})


def check_finished(report: CampaignReport) -> None:
    """Raise InfrastructureError if trajectories have no verdict, with the most frequent reason."""
    left = sum(counts.infrastructure + counts.open for counts in report.planners.values())
    if not left:
        return
    reason = report.stopped or (f"{report.faults[0].kind.value}: {report.faults[0].reason}" if report.faults else "")
    said = f"{left} trajectories of {report.name} have no verdict{f' ({reason})' if reason else ''}"
    raise InfrastructureError(
        f"{said}; what is done is kept: start the campaign again, and see `cra report {report.name}`"
    )
