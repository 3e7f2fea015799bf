"""The campaign flow: planners over instances, one task per trajectory, a table in the UI that grows as they finish."""

from itertools import takewhile
from pathlib import Path

from prefect import flow, tags
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from flows.progress import progress_listener
from flows.stopping import StopRule
from flows.table import CampaignTable
from flows.window import completed
from harness.lifecycle.attempt import AttemptEnding
from harness.packages.package import read_package
from harness.planners.registry import check_planners
from harness.runs.campaign_context import Assignment, CampaignContext, assignments, open_campaign_context
from harness.runs.campaigns import campaign_config, with_adapters
from host.settings import load_settings
from models.campaign_settings import Grid, StepTestMode
from models.edits import EditFormat
from models.errors import UsageError
from models.outcomes import OutcomeKind
from models.protocols import Stage
from store.runs import CampaignReport, open_raw_store
from tasks.define import opaque_argument
from tasks.runtime import open_runtime
from tasks.trajectory import run_trajectory

MOST_LOST = 3
"""Most consecutive trajectories whose outcome could not be stored, before the campaign stops."""


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

    Closed trajectories are not run again, so an interrupted campaign resumes. A trajectory that ends in an
    infrastructure fault stays open and does not stop the others, unless all do. The caps apply to this run: when one is
    reached, the campaign ends in order and reports it. `adapters` (served names) replace the active ones.
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
    todo = [each for package in opened for each in assignments(campaign_id, package, grid, context, runtime)]
    if not todo:
        raise UsageError(
            f"no package of {', '.join(str(p) for p in packages)} has a valid instance; see `cra corpus show`"
        )
    calls = context.pool.calls_at_a_time(planners)
    stopping = StopRule(settings.campaign.provider_failures)
    _run(todo, context, name, settings.campaign.trajectories or max(settings.concurrency, calls), stopping)
    return store.report(name).model_copy(update={"stopped": stopping.reason})


def _run(
    trajectories: list[Assignment], context: CampaignContext, name: str, at_a_time: int, stopping: StopRule
) -> None:
    """Run open trajectories, and retry provider failures once; stop early if `stopping` says so."""
    done = context.store.closed([each.key for each in trajectories])
    todo = [each for each in trajectories if each.key not in done]
    watch = progress_listener()
    watch.start(f"campaign {name}", len(todo))
    table = CampaignTable(name, len(done))
    failed = _run_all(todo, context, name, at_a_time, stopping, table)
    if failed and not stopping.reason:
        watch.start(f"campaign {name}, once more", len(failed))
        _run_all(failed, context, f"{name}, once more", at_a_time, stopping, table)
    table.publish()


def _run_all(
    todo: list[Assignment],
    context: CampaignContext,
    name: str,
    at_a_time: int,
    stopping: StopRule,
    table: CampaignTable,
) -> list[Assignment]:
    """Run trajectories; returns those with a provider failure."""
    failed = []
    lost = 0
    with ThreadPoolTaskRunner[AttemptEnding](max_workers=at_a_time) as runner, tags("campaign"):

        def submit(assignment: Assignment) -> PrefectFuture[AttemptEnding]:
            one = run_trajectory.with_options(tags=assignment.tags)
            live = {"assignment": opaque_argument(assignment), "context": opaque_argument(context)}
            return runner.submit(one, {"label": assignment.label, **live})

        wanted = takewhile(lambda _: not stopping.reason, todo)
        for assignment, future in completed(wanted, submit, 2 * at_a_time):  # keeps all threads busy
            future.wait()
            # A trajectory whose outcome could not be stored stays open for the next run.
            lost = 0 if future.state.is_completed() else lost + 1
            ending = future.result() if not lost or lost > MOST_LOST else AttemptEnding(OutcomeKind.HARNESS_ERROR)
            stopping.saw(ending.kind, ending.detail)
            if ending.kind is OutcomeKind.PROVIDER_ERROR:
                failed.append(assignment)
            table.add(assignment, ending.kind)
            progress_listener().advance(f"campaign {name}", f"{assignment.label} {ending.kind.value}")
    return failed
