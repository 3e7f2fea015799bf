"""Trajectories of a campaign in this process, one task each; other processes may work on the same campaign."""

import time
from collections import Counter
from contextlib import suppress
from typing import NamedTuple

from prefect import get_run_logger, tags
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.progress import progress_listener
from flows.stopping import StopRule
from flows.table import CampaignTable
from flows.window import completed
from harness.lifecycle.attempt import AttemptEnding
from harness.runs.campaign_context import Assignment, CampaignContext
from harness.runs.shared_work import SharedWork
from host.processes import shown_process
from models.errors import DatabaseError
from models.outcomes import OutcomeKind
from store.runs import RawStore
from tasks.define import opaque_argument
from tasks.trajectory import ending_of, run_trajectory

MOST_LOST = 3
"""Most consecutive trajectories whose outcome could not be stored, before the campaign stops."""
_WAIT_SECONDS = 2.0
"""Between looks at trajectories that only other processes work on."""


class CampaignLabel(NamedTuple):
    """A campaign's name and key."""

    name: str
    campaign_id: str


def run_trajectories(
    trajectories: list[Assignment],
    context: CampaignContext,
    label: CampaignLabel,
    at_a_time: int,
    stopping: StopRule,
    waits: bool = True,
) -> None:
    """Run the open ones of a campaign's trajectories, and once more those that end in a transient fault.

    Other processes may work on the same ones. Returns when all are finished, here or there, or `stopping` says so;
    with `waits` unset, as soon as none is left for this process.
    """
    attempts = context.store.attempts([each.key for each in trajectories])
    todo = [each for each in trajectories if each.key in attempts]
    table = CampaignTable(context.store, *label)
    with context.store.renewing():
        failed = _run_all(todo, attempts, context, label.name, at_a_time, stopping, table, waits)
        if failed and not stopping.reason:
            attempts = context.store.attempts([each.key for each in failed])
            _run_all(failed, attempts, context, f"{label.name}, once more", at_a_time, stopping, table, waits)
    table.publish()


def _run_all(
    todo: list[Assignment],
    attempts: dict[str, int],
    context: CampaignContext,
    name: str,
    at_a_time: int,
    stopping: StopRule,
    table: CampaignTable,
    waits: bool,
) -> list[Assignment]:
    """Run trajectories, until all are finished here or in other processes; returns those to be tried once more."""
    failed = []
    watch, stage = progress_listener(), f"campaign {name}"
    watch.start(stage, len(todo))
    work = SharedWork(
        context.store,
        [each for each in todo if each.key in attempts],
        attempts,
        over=lambda: bool(stopping.reason),
        elsewhere=lambda each: watch.advance(stage, f"{each.label} finished by another process"),
    )
    with ThreadPoolTaskRunner[State[AttemptEnding]](max_workers=at_a_time) as runner, tags("campaign"):

        def submit(assignment: Assignment) -> PrefectFuture[State[AttemptEnding]]:
            one = run_trajectory.with_options(tags=assignment.tags)
            live = {"assignment": opaque_argument(assignment), "context": opaque_argument(context)}
            return runner.submit(one, {"label": assignment.label, **live})

        said: Counter[str] = Counter()
        while True:
            for assignment, future in completed(work, submit, at_a_time + 1):  # one more keeps all threads busy
                future.wait()
                ending = _ending(future, assignment, context.store, stopping)
                if ending.transient:
                    failed.append(assignment)
                table.refresh()
                watch.advance(stage, f"{assignment.label} {ending.kind.value}")
            if stopping.reason or not (waits and work.left):
                return [*failed, *(work.ended if waits else ())]
            _wait_for_others(context.store, work.left, said)
            table.refresh()


def _ending(
    future: PrefectFuture[State[AttemptEnding]], assignment: Assignment, store: RawStore, stopping: StopRule
) -> AttemptEnding:
    """The ending of a trajectory's task, which `stopping` is told of.

    One whose outcome could not be stored is left to the next run, unless too many are.
    """
    ending = ending_of(future.state)
    if ending is None:
        with suppress(DatabaseError):  # the lease is renewed until this process ends: the trajectory waits for that
            store.release([assignment.key])
        stopping.lost += 1
        if stopping.lost > MOST_LOST:
            future.result()  # raises what broke it
        return AttemptEnding(OutcomeKind.HARNESS_ERROR)
    stopping.lost = 0
    stopping.saw(ending.kind, ending.detail)
    return ending


def _wait_for_others(store: RawStore, keys: list[str], said: Counter[str]) -> None:
    """Wait a moment for trajectories that other processes hold; say which, when that changes."""
    try:
        held = Counter(shown_process(holder) for holder in store.holders(keys).values())
    except DatabaseError as error:
        get_run_logger().warning("%s", error)
        held = said
    if held and held != said:
        said.clear()
        said.update(held)
        what = ", ".join(f"{count} by {process}" for process, count in sorted(held.items()))
        get_run_logger().info("waiting for trajectories that are worked on elsewhere: %s", what)
        progress_listener().note(f"waiting for {what}")
    time.sleep(_WAIT_SECONDS)
