"""A solve order, from its set-up to its report: the lifecycle of an attempt without hidden tests.

set up (clone, environment, index, rows) -> work (the agent's loop) -> the whole suite before and after -> archive
-> close
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from harness.lifecycle.attempt import Attempt, fault_of
from harness.packages.contents import package_content
from harness.packages.package import write_atomically
from harness.runs.attempt import AttemptResult
from harness.runs.campaign_context import Assignment, CampaignContext, ignore
from harness.runs.executor import DIRECT, AttemptExecutor
from harness.runs.model_pool import ModelPool
from harness.runs.solving import FullCheck, SolveContext, SolveOrder, check_whole, solve_context
from host.private import private_directory
from host.processes import shown_process
from models.campaign_settings import StepTestMode
from models.edits import EditFormat
from models.errors import EnvironmentFault, InfrastructureError, SandboxUnavailable, UsageError, WheelError
from models.outcomes import OutcomeKind
from models.plans import Frozen
from models.settings import Settings
from runtime.trees import Runtime
from store.keys import digest

if TYPE_CHECKING:
    from store.runs import RawStore


class SolveRequest(Frozen):
    """The planner that solves an order, and its cost limit."""

    planner: str = "student"
    temperature: float = 0.0
    sample: int = 0
    edit_format: EditFormat | None = None
    max_cost: float | None = None
    max_tokens: int | None = None


class SolveReport(Frozen):
    """The result of an order: the outcome, the patch, the suite before and after, and its record."""

    trajectory: str
    base: str
    outcome: OutcomeKind
    detail: str
    work: AttemptResult
    check: FullCheck | None
    untested: str
    seconds: float = 0.0


def solve_order(
    order: SolveOrder,
    request: SolveRequest,
    settings: Settings,
    runtime: Runtime,
    store: "RawStore",
    executor: AttemptExecutor = DIRECT,
    notify: Callable[[str], None] = ignore,
) -> SolveReport:
    """Execute an order. The same order again returns its result, or resumes if it was interrupted.

    Raises UsageError and RepositoryError for a bad order, or for one that another process is executing, and
    InfrastructureError if no model could be reached.
    """
    started = time.monotonic()
    with ExitStack() as held:
        place = held.enter_context(solve_context(order, runtime, settings.cache_dir))
        context = _context(place, request, settings, store, notify)
        assignment = _assignment(place, request, context)
        archive = settings.data_dir / "sessions" / f"{assignment.key}.json"
        number = held.enter_context(_claimed(store, assignment.key))
        if archive.is_file():
            solved = SolveReport.model_validate_json(archive.read_text())
        elif number is None:
            raise UsageError(f"this was solved before, but {archive} is gone; --sample gives another attempt")
        else:
            recorder = store.recorder(assignment.key, number)
            try:
                solved = _work(Attempt(assignment, context, executor, number, recorder), place, started)
                recorder.flush()
            except (InfrastructureError, EnvironmentFault, WheelError, SandboxUnavailable) as error:
                recorder.flush()
                store.close_trajectory(assignment.key, number, fault_of(error), patch="", detail=str(error))
                raise
            private_directory(archive.parent)
            write_atomically(archive, solved.model_dump_json(indent=1) + "\n")
        if number is not None:  # closed last: if interrupted before, the order can be resumed
            store.close_trajectory(
                assignment.key,
                number,
                solved.outcome,
                patch=solved.work.patch,
                alignment=solved.work.alignment,
                detail=solved.detail,
                seconds=solved.seconds,
            )
    return solved


@contextmanager
def _claimed(store: "RawStore", trajectory: str) -> Iterator[int | None]:
    """The number of a new attempt, while this process holds the trajectory; None if it is closed.

    Raises UsageError if another process works on it.
    """
    claims = store.claim(store.attempts([trajectory]) or {trajectory: 0}, 1)
    if claims.held:
        holder = store.holders([trajectory]).get(trajectory)
        raise UsageError(
            f"this task is being solved by {shown_process(holder) if holder else 'another process'}; wait for it, or "
            "give another --sample for a further attempt"
        )
    with store.renewing():
        try:
            yield store.begin_attempt(trajectory)
        finally:
            store.release([trajectory])


def _context(
    place: SolveContext, request: SolveRequest, settings: Settings, store: "RawStore", notify: Callable[[str], None]
) -> CampaignContext:
    from llm import Meter

    meter = Meter(max_tokens=request.max_tokens, max_cost=request.max_cost)
    return CampaignContext(
        store,
        settings.cache_dir,
        ModelPool(settings.models, meter, settings.curated_url),
        edit_format=request.edit_format,
        limits=settings.loop,
        step_tests=StepTestMode.OFF if place.untested else StepTestMode.ON,
        sandboxes=settings.concurrency,
        notify=notify,
    )


def _assignment(place: SolveContext, request: SolveRequest, context: CampaignContext) -> Assignment:
    """The order's trajectory, registered as a campaign of its own."""
    store, instance_context = context.store, place.instance_context
    package, instance_id = instance_context.package, instance_context.instance.instance_id
    instance_key = store.register_package(package.manifest, package_content(package))[instance_id]
    name = package.manifest.name
    campaign = store.register_campaign(
        {"kind": "solve", "repository": name, "loop": context.limits.model_dump(mode="json")}
    )
    store.start_run(campaign, f"solve-{name}", place.key, [package.directory])
    sampling = (request.temperature, request.sample)
    identity = context.planner(request.planner, instance_context, *sampling).identity
    key = store.open_trajectory(campaign, instance_key, request.planner, identity, *sampling)
    return Assignment(key, instance_key, request.planner, *sampling, instance_context)


def _work(attempt: Attempt, place: SolveContext, started: float) -> SolveReport:
    work = attempt.work()
    attempt.context.notify("the whole suite")
    check = _checked(attempt, place, work)
    outcome, detail = _outcome(work, check, place)
    return SolveReport(
        trajectory=attempt.assignment.key,
        base=place.instance_context.instance.base_commit,
        outcome=outcome,
        detail=detail,
        work=work,
        check=check,
        untested=place.untested,
        seconds=round(time.monotonic() - started, 3),
    )


def _checked(attempt: Attempt, place: SolveContext, work: AttemptResult) -> FullCheck | None:
    """The whole suite before and after, or None if there are no tests or no change."""
    if place.untested or not work.files:
        return None
    key = digest("full-check", place.instance_context.instance.model_dump(mode="json"), work.canonical())
    return attempt.executor.check_suite(key, lambda: check_whole(place.instance_context, work.changes))


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
