"""The campaign flow: planners over instances, one task per trajectory, a table in the UI that grows as they finish."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import flow, tags
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from flows.progress import watcher
from flows.window import completed
from harness.packages import RepoPackage, read_package
from harness.state import Runtime
from harness.store import RawStore, Report, open_raw_store
from harness.trajectory import Bench, check_planners, make_planner
from models.edits import EditFormat
from models.errors import UsageError
from models.limits import LoopLimits
from models.outcomes import OutcomeKind
from models.settings import load_settings
from tasks.runtime import open_runtime
from tasks.trajectory import Assignment, Desk, run_trajectory

REFRESH_SECONDS = 5.0
"""How often the table in the UI is made anew while trajectories finish."""

MOST_LOST = 3
"""Trajectories in a row whose outcome could not be stored; with one more, the campaign stops with the reason."""


@flow(name="campaign", flow_run_name="campaign {name}", persist_result=False)
def campaign(
    packages: list[Path],
    planners: list[str],
    name: str,
    edit_format: EditFormat = EditFormat.SEARCH_REPLACE,
    sandbox: str | None = None,
) -> Report:
    """Run each planner once over every valid instance of the packages; return the report.

    Trajectories that the database holds as closed are not run again, so a stopped campaign goes on where it was. A
    trajectory that ends in an infrastructure fault stays open and never stops the others.
    """
    check_planners(planners)
    settings = load_settings()
    runtime = open_runtime(settings, sandbox)
    store = open_raw_store(settings.raw_url)
    opened = [read_package(Path(package)) for package in packages]
    desk = Desk(store, settings.cache_dir, edit_format, LoopLimits())
    config = {
        "packages": sorted(package.identity for package in opened),
        "planners": sorted(set(planners)),
        "edit_format": edit_format.value,
        "loop": desk.limits.model_dump(mode="json"),
        "limits": settings.limits.model_dump(mode="json"),
        "sandbox": runtime.sandbox.kind,
    }
    campaign_id = store.register_campaign(config)
    store.start_run(campaign_id, name, flow_run.id or name, [str(p.directory) for p in opened])
    assignments = [
        assignment
        for package in opened
        for assignment in _assignments(store, campaign_id, package, planners, desk, runtime)
    ]
    if not assignments:
        raise UsageError(
            f"no package of {', '.join(str(p) for p in packages)} has a valid instance; see `cra corpus show`"
        )
    _run(assignments, desk, name, settings.concurrency)
    return store.report(name)


def _assignments(
    store: RawStore,
    campaign_id: str,
    package: RepoPackage,
    planners: Sequence[str],
    desk: Desk,
    runtime: Runtime,
) -> list[Assignment]:
    keys = store.register_package(package.manifest)
    found = []
    for instance in package.manifest.instances:
        if not instance.valid:
            continue
        bench = Bench(runtime, package, instance)
        for name in dict.fromkeys(planners):
            planner = make_planner(name, bench, desk.edit_format)
            instance_key = keys[instance.instance_id]
            key = store.open_trajectory(campaign_id, instance_key, name, planner.identity)
            found.append(Assignment(key, instance_key, name, 0.0, 0, bench))
    return found


def _run(assignments: list[Assignment], desk: Desk, name: str, at_a_time: int) -> None:
    done = desk.store.closed([a.key for a in assignments])
    todo = [a for a in assignments if a.key not in done]
    watch = watcher()
    watch.start(f"campaign {name}", len(todo))
    table = _Table(name, Counter({"finished before": len(done)} if done else {}))
    with ThreadPoolTaskRunner[OutcomeKind](max_workers=at_a_time) as runner:

        def submit(assignment: Assignment) -> PrefectFuture[OutcomeKind]:
            one = run_trajectory.with_options(tags=assignment.tags, cache_policy=NO_CACHE)
            return runner.submit(one, {"label": assignment.label, "assignment": assignment, "desk": desk})

        lost = 0
        with tags("campaign"):
            for assignment, future in completed(todo, submit, 2 * at_a_time):  # so that a thread never waits
                future.wait()
                # A trajectory whose outcome could not even be stored stays open: the next run takes it up.
                lost = 0 if future.state.is_completed() else lost + 1
                kind = future.result() if not lost or lost > MOST_LOST else OutcomeKind.HARNESS_ERROR
                table.add(assignment, kind)
                watch.advance(f"campaign {name}", f"{assignment.label} {kind.value}")
    table.publish()


class _Table:
    """The campaign's table artifact: counts per repository and planner, made anew at most every few seconds."""

    def __init__(self, name: str, before: Counter[str]) -> None:
        self._key = "campaign-" + "".join(c if c.isalnum() else "-" for c in name.lower())
        self._before = before
        self._counts: dict[tuple[str, str], Counter[str]] = {}
        self._last = 0.0

    def add(self, assignment: Assignment, kind: OutcomeKind) -> None:
        """Count one finished trajectory."""
        row = (assignment.bench.package.manifest.name, assignment.planner)
        self._counts.setdefault(row, Counter())[kind.value] += 1
        if time.monotonic() - self._last > REFRESH_SECONDS:
            self.publish()

    def publish(self) -> None:
        """Write the table as it stands."""
        self._last = time.monotonic()
        rows: list[dict[str, Any]] = [
            {
                "repository": repository,
                "planner": planner,
                "passed": counts[OutcomeKind.PASSED.value],
                "others": ", ".join(f"{k} {n}" for k, n in sorted(counts.items()) if k != OutcomeKind.PASSED.value),
            }
            for (repository, planner), counts in sorted(self._counts.items())
        ]
        rows += [{"repository": what, "planner": "", "passed": n, "others": ""} for what, n in self._before.items()]
        create_table_artifact(key=self._key, table=rows, description="Trajectories finished so far, by outcome")
