"""The campaign flow: planners over instances, one task per trajectory, a table in the UI that grows as they finish."""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow, tags
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from flows.progress import progress_listener
from flows.stopping import StopRule
from flows.table import CampaignTable
from flows.window import completed
from harness.packages.contents import package_content
from harness.packages.package import RepoPackage, read_package
from harness.runs.attempt import InstanceContext, check_planners
from harness.runs.campaigns import campaign_config, with_adapters
from harness.runs.model_pool import TEAMS, ModelPool
from host.settings import load_settings
from models.campaign_settings import Grid, StepTestMode
from models.edits import EditFormat
from models.errors import UsageError
from models.outcomes import OutcomeKind
from models.protocols import Stage
from models.settings import Settings
from store.runs import CampaignReport, RawStore, open_raw_store
from tasks.runtime import open_runtime
from tasks.trajectory import Assignment, AttemptEnding, CampaignContext, run_trajectory

if TYPE_CHECKING:
    from runtime.trees import Runtime

MOST_LOST = 3
"""Trajectories in a row whose outcome could not be stored; with one more, the campaign stops with the reason."""


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

    Trajectories that the database holds as closed are not run again, so a stopped campaign goes on where it was. A
    trajectory that ends in an infrastructure fault stays open and never stops the others, unless every one does. The
    caps hold for this run: the campaign ends in good order when one is reached, and says so in the report. `adapters`
    answer instead of those that are active, by their served names.
    """
    grid = Grid(planners=tuple(planners), temperatures=tuple(temperatures or [0.0]), samples=samples, limit=limit)
    check_planners(planners)
    grid.check()
    settings = with_adapters(load_settings(), adapters or {})
    runtime = open_runtime(settings, sandbox)
    store = open_raw_store(settings.raw_url)
    opened = [read_package(Path(package)) for package in packages]
    context = open_campaign_context(settings, store, edit_format, step_tests, max_cost, max_tokens)
    config = campaign_config(opened, grid, edit_format, step_tests, settings, runtime.sandbox.kind)
    campaign_id = store.register_campaign(config)
    store.start_run(campaign_id, name, flow_run.id or name, [str(p.directory) for p in opened])
    assignments = [
        assignment for package in opened for assignment in _assignments(campaign_id, package, grid, context, runtime)
    ]
    if not assignments:
        raise UsageError(
            f"no package of {', '.join(str(p) for p in packages)} has a valid instance; see `cra corpus show`"
        )
    calls = context.pool.calls_at_a_time(planners)
    stopping = StopRule(settings.campaign.provider_failures)
    _run(assignments, context, name, settings.campaign.trajectories or max(settings.concurrency, calls), stopping)
    return store.report(name).model_copy(update={"stopped": stopping.reason})


def open_campaign_context(
    settings: Settings,
    store: RawStore,
    edit_format: EditFormat | None,
    step_tests: StepTestMode,
    max_cost: float | None = None,
    max_tokens: int | None = None,
) -> CampaignContext:
    """What trajectories share, by the settings; one meter counts what all models of this run spend."""
    from llm.meter import Meter

    return CampaignContext(
        store,
        settings.cache_dir,
        ModelPool(settings.models, Meter(max_cost=max_cost, max_tokens=max_tokens), settings.curated_url),
        edit_format=edit_format,
        limits=settings.loop,
        step_tests=step_tests,
        step_test_seconds=settings.campaign.step_test_seconds,
        sandboxes=settings.concurrency,
        measure_tests=settings.campaign.measure_tests,
    )


def _assignments(
    campaign_id: str, package: RepoPackage, grid: Grid, context: CampaignContext, runtime: "Runtime"
) -> Iterator[Assignment]:
    """A package's trajectories, all of an instance side by side: their prompts begin alike, which servers cache."""
    keys = context.store.register_package(package.manifest, package_content(package))
    valid = [instance for instance in package.manifest.instances if instance.valid][: grid.limit]
    for instance in valid:
        instance_context = InstanceContext(runtime, package, instance)
        identities: dict[str, str] = {}
        for draw in grid.draws(frozenset(TEAMS)):
            if draw.planner not in identities:
                identities[draw.planner] = context.planner(draw.planner, instance_context).identity
            instance_key = keys[instance.instance_id]
            key = context.store.open_trajectory(
                campaign_id, instance_key, draw.planner, identities[draw.planner], draw.temperature, draw.sample
            )
            yield Assignment(key, instance_key, draw.planner, draw.temperature, draw.sample, instance_context)


def _run(
    assignments: list[Assignment], context: CampaignContext, name: str, at_a_time: int, stopping: StopRule
) -> None:
    """Run what is open, and once more what a provider failed; stop early, leaving the rest open, if `stopping` says."""
    done = context.store.closed([a.key for a in assignments])
    todo = [a for a in assignments if a.key not in done]
    watch = progress_listener()
    watch.start(f"campaign {name}", len(todo))
    table = CampaignTable(name, len(done))
    failed = _pass(todo, context, name, at_a_time, stopping, table)
    if failed and not stopping.reason:
        watch.start(f"campaign {name}, once more", len(failed))
        _pass(failed, context, f"{name}, once more", at_a_time, stopping, table)
    table.publish()


def _pass(
    todo: list[Assignment],
    context: CampaignContext,
    name: str,
    at_a_time: int,
    stopping: StopRule,
    table: CampaignTable,
) -> list[Assignment]:
    """Run trajectories; those that their provider failed."""
    failed = []
    lost = 0
    with ThreadPoolTaskRunner[AttemptEnding](max_workers=at_a_time) as runner, tags("campaign"):

        def submit(assignment: Assignment) -> PrefectFuture[AttemptEnding]:
            one = run_trajectory.with_options(tags=assignment.tags, cache_policy=NO_CACHE)
            return runner.submit(one, {"label": assignment.label, "assignment": assignment, "context": context})

        wanted = takewhile(lambda _: not stopping.reason, todo)
        for assignment, future in completed(wanted, submit, 2 * at_a_time):  # so that a thread never waits
            future.wait()
            # A trajectory whose outcome could not even be stored stays open: the next run takes it up.
            lost = 0 if future.state.is_completed() else lost + 1
            ending = future.result() if not lost or lost > MOST_LOST else AttemptEnding(OutcomeKind.HARNESS_ERROR)
            stopping.saw(ending.kind, ending.detail)
            if ending.kind is OutcomeKind.PROVIDER_ERROR:
                failed.append(assignment)
            table.add(assignment, ending.kind)
            progress_listener().advance(f"campaign {name}", f"{assignment.label} {ending.kind.value}")
    return failed
