"""The solve flow: a task on a person's own repository, to a patch with its tests run and everything on record.

    set up (clone, environment, index) -> the main loop, each call and test run a task -> the whole suite -> archive

The main loop itself is `agent.loop.solve`; here it gets a planner whose answers are tasks, so that a restart of the
same order goes on behind the last finished call.
"""

import time
from functools import partial

from prefect import flow, tags, task
from prefect.artifacts import create_markdown_artifact

from agent.prompts.render import fenced
from flows.progress import progress_listener
from harness.packages.contents import package_content
from harness.packages.package import write_atomically
from harness.runs.attempt import AttemptResult
from harness.runs.model_pool import ModelPool
from harness.runs.solving import FullCheck, SolveContext, SolveOrder, check_whole, place_for
from host.private import private_directory
from host.settings import load_settings
from llm import Meter
from models.campaign_settings import StepTestMode
from models.edits import EditFormat
from models.errors import (
    DatabaseError,
    EnvironmentFault,
    InfrastructureError,
    SandboxUnavailable,
    UsageError,
    WheelError,
)
from models.files import Overlay
from models.outcomes import OutcomeKind
from models.plans import Frozen
from models.settings import Settings
from store.runs import RawStore, digest, open_raw_store
from tasks.caching import RETRY_DELAYS, cache_options, is_infrastructure
from tasks.runtime import open_runtime
from tasks.trajectory import Assignment, CampaignContext, do_work, fault_of

_WORK = "solve"
_FAULTS = (InfrastructureError, EnvironmentFault, WheelError, SandboxUnavailable)


class SolveRequest(Frozen):
    """Who is to solve an order, and what it may cost."""

    planner: str = "student"
    temperature: float = 0.0
    sample: int = 0
    edit_format: EditFormat | None = None
    max_cost: float | None = None
    max_tokens: int | None = None


class SolveReport(Frozen):
    """What came of an order: the outcome, the patch, the suite before and after, and where it is on record."""

    trajectory: str
    base: str
    outcome: OutcomeKind
    detail: str
    work: AttemptResult
    check: FullCheck | None
    untested: str
    seconds: float = 0.0


@flow(name="solve", flow_run_name="solve {label}", persist_result=False)
def solve(label: str, order: SolveOrder, attempt: SolveRequest, sandbox: str | None = None) -> SolveReport:
    """Work an order off. The same order again returns what came of it, or goes on where it was stopped.

    Raises UsageError and RepositoryError for a bad order, InfrastructureError when nobody could be asked.
    """
    settings = load_settings()
    runtime = open_runtime(settings, sandbox)
    store = open_raw_store(settings.raw_url)
    started = time.monotonic()
    with place_for(order, runtime, settings.cache_dir) as place, tags("solve"):
        assignment, context = _set_up(place, attempt, settings, store)
        archive = settings.data_dir / "sessions" / f"{assignment.key}.json"
        number = store.begin_attempt(assignment.key)
        if archive.is_file():
            solved = SolveReport.model_validate_json(archive.read_text())
        elif number is None:
            raise UsageError(f"this was solved before, but {archive} is gone; --sample gives another attempt")
        else:
            try:
                solved = _work(assignment, context, number, place, settings, started)
            except _FAULTS as error:
                store.close_trajectory(assignment.key, number, fault_of(error), patch="", detail=str(error))
                raise
            private_directory(archive.parent)
            write_atomically(archive, solved.model_dump_json(indent=1) + "\n")
            _publish(solved)
        if number is not None:  # closed last: whatever stops this before leaves the order to be gone on with
            _close(store, assignment.key, number, solved)
    return solved


def _set_up(
    place: SolveContext, attempt: SolveRequest, settings: Settings, store: RawStore
) -> tuple[Assignment, CampaignContext]:
    instance_context = place.instance_context
    watch = progress_listener()
    watch.start(_WORK, None)
    meter = Meter(max_tokens=attempt.max_tokens, max_cost=attempt.max_cost)
    context = CampaignContext(
        store,
        settings.cache_dir,
        ModelPool(settings.models, meter, settings.curated_url),
        edit_format=attempt.edit_format,
        limits=settings.loop,
        step_tests=StepTestMode.OFF if place.untested else StepTestMode.ON,
        sandboxes=settings.concurrency,
        notify=partial(watch.advance, _WORK),
    )
    package = instance_context.package
    instance_key = store.register_package(package.manifest, package_content(package))[
        instance_context.instance.instance_id
    ]
    campaign = store.register_campaign(
        {
            "kind": "solve",
            "repository": instance_context.package.manifest.name,
            "loop": context.limits.model_dump(mode="json"),
        }
    )
    package = instance_context.package
    store.start_run(campaign, f"solve-{package.manifest.name}", place.key, [package.directory])
    planner = context.planner(attempt.planner, instance_context, attempt.temperature, attempt.sample)
    key = store.open_trajectory(
        campaign, instance_key, attempt.planner, planner.identity, attempt.temperature, attempt.sample
    )
    return Assignment(
        key, instance_key, attempt.planner, attempt.temperature, attempt.sample, instance_context
    ), context


def _work(
    assignment: Assignment,
    context: CampaignContext,
    number: int,
    place: SolveContext,
    settings: Settings,
    started: float,
) -> SolveReport:
    work = do_work(assignment, context, context.store.recorder(assignment.key, number))
    context.notify("the whole suite")
    check = _checked(place, work, settings, context.store)
    outcome, detail = _outcome(work, check, place)
    return SolveReport(
        trajectory=assignment.key,
        base=place.instance_context.instance.base_commit,
        outcome=outcome,
        detail=detail,
        work=work,
        check=check,
        untested=place.untested,
        seconds=round(time.monotonic() - started, 3),
    )


def _close(store: RawStore, key: str, number: int, solved: SolveReport) -> None:
    store.close_trajectory(
        key,
        number,
        solved.outcome,
        patch=solved.work.patch,
        alignment=solved.work.alignment,
        detail=solved.detail,
        seconds=solved.seconds,
    )


def _checked(place: SolveContext, work: AttemptResult, settings: Settings, store: RawStore) -> FullCheck | None:
    """The whole suite before and after, unless there is nothing to run or nothing to judge."""
    if place.untested or not work.files:
        return None
    key = digest("full-check", place.instance_context.instance.model_dump(mode="json"), work.canonical())
    one = run_whole_suite.with_options(**cache_options(key, settings.cache_dir))
    try:
        text = store.get_text(one(place, work.changes, store))
    except DatabaseError:  # the engine remembers a check that this database does not hold
        text = store.get_text(one.with_options(refresh_cache=True)(place, work.changes, store))
    return FullCheck.model_validate_json(text)


@task(
    task_run_name="whole suite",
    retries=2,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_infrastructure,
    persist_result=True,
    result_serializer="json",
)
def run_whole_suite(place: SolveContext, changes: Overlay, store: RawStore) -> str:
    """Run the repository's whole suite on the base and on the change; the report goes to the database, its hash is the
    result."""
    return store.put_text(check_whole(place.instance_context, changes).model_dump_json())


def _outcome(work: AttemptResult, check: FullCheck | None, place: SolveContext) -> tuple[OutcomeKind, str]:
    """The outcome of a solve, which no hidden test judges, and its detail."""
    if work.end is not None:
        return work.end, work.detail
    if not work.files:
        return OutcomeKind.EMPTY_PATCH, "nothing was changed"
    if check is None:
        return OutcomeKind.UNTESTED, f"no test was run: {place.untested}"
    if check.broken:
        return OutcomeKind.REGRESSION, f"{len(check.broken)} tests broke, first {check.broken[0]}"
    return OutcomeKind.NO_REGRESSION, f"no test broke; {len(check.new)} new ones pass"


def _publish(solved: SolveReport) -> None:
    create_markdown_artifact(
        key=f"solve-{solved.trajectory[:12]}",
        markdown=f"**{solved.outcome.value}**: {solved.detail}\n\n{fenced(solved.work.patch, 'diff')}\n",
        description="What came of the task",
    )
