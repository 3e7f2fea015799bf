"""The supplement flow: commits whose tests do not fail before and pass after get tests from a teacher."""

import threading
from collections import Counter
from itertools import takewhile
from pathlib import Path

from prefect import flow, tags
from prefect.artifacts import create_table_artifact
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows.progress import progress_listener
from flows.window import completed
from harness.packages.contents import package_content
from harness.packages.package import read_package
from harness.supplement import RouterTeacher, UntestedInstance, store_instance, untested_instances
from host.settings import load_settings
from models.errors import CapReached, CleanRoomError, ProviderError
from models.plans import Frozen
from models.supplements import Supplement
from models.test_quality import TestQuality
from store.runs import open_raw_store
from store.runs.supplements import open_supplement_store
from tasks.define import opaque_argument
from tasks.runtime import open_runtime
from tasks.supplement import SupplementCase, SupplementContext, supplement_commit

SupplementResult = tuple[Supplement, TestQuality | None]

ACCEPTED = "accepted"
MOST_FAILURES = 3
"""Most consecutive commits for which the teacher could not be asked, before the run stops."""


class SupplementLine(Frozen):
    """The result of one commit: `state` is accepted, the reason for a refusal, or a fault."""

    package: str
    commit: str
    task: str
    state: str
    detail: str = ""
    rounds: int = 0
    fail_to_pass: int = 0
    how: dict[str, int] = Field(default_factory=dict)
    coverage: float | None = None
    killed: int = 0
    hunks: int = 0
    cost: float = 0.0
    undecided: bool = False


class SupplementReport(Frozen):
    """The result of a run. `stopped` is the reason if it ended early; `cost` is what it spent."""

    lines: tuple[SupplementLine, ...]
    lacking: int
    cost: float = 0.0
    stopped: str = ""

    def counts(self) -> dict[str, int]:
        """Commits by state."""
        return dict(sorted(Counter(line.state for line in self.lines).items()))


@flow(name="supplement", flow_run_name="supplement", persist_result=False)
def supplement(
    packages: list[Path], limit: int | None = None, max_cost: float | None = None, sandbox: str | None = None
) -> SupplementReport:
    """Supplement at most `limit` commits of repo packages that lack a test which fails before and passes after.

    Accepted tests are stored in the package at once, so that an interrupted run loses nothing; a teacher's answers are
    cached and not paid for again.
    """
    from llm import Meter, open_router

    settings = load_settings()
    runtime = open_runtime(settings, sandbox)
    meter = Meter(max_cost=max_cost)
    teacher = RouterTeacher(open_router(settings.models, "teacher", meter))
    raw = open_raw_store(settings.raw_url)
    slots = threading.BoundedSemaphore(settings.concurrency)
    context = SupplementContext(raw, open_supplement_store(settings.raw_url), settings.cache_dir, teacher, slots)
    cases: list[SupplementCase] = []
    for package in (read_package(Path(path)) for path in packages):
        raw.register_package(package.manifest, package_content(package))
        cases += [
            SupplementCase(UntestedInstance(runtime, package, instance), context)
            for instance in untested_instances(package.manifest)
        ]
    report = _run(cases[:limit], settings.concurrency)
    _publish(report)
    return report.model_copy(update={"lacking": len(cases), "cost": meter.spent.cost})


def _run(cases: list[SupplementCase], at_a_time: int) -> SupplementReport:
    watch = progress_listener()
    watch.start("supplement", len(cases))
    lines: dict[str, SupplementLine] = {}
    stopped, failures = "", 0
    with ThreadPoolTaskRunner[SupplementResult](max_workers=at_a_time) as runner, tags("supplement"):

        def submit(case: SupplementCase) -> PrefectFuture[SupplementResult]:
            one = supplement_commit.with_options(tags=case.tags)
            return runner.submit(one, {"label": case.label, "case": opaque_argument(case)})

        going_on = takewhile(lambda _: not stopped, cases)
        for case, future in completed(going_on, submit, at_a_time):
            ended = future.result(raise_on_failure=False)
            failures = failures + 1 if isinstance(ended, ProviderError) else 0
            if isinstance(ended, CapReached) or failures > MOST_FAILURES:
                stopped = stopped or str(ended)
            lines[case.label] = _fault(case, ended) if isinstance(ended, BaseException) else _found(case, *ended)
            watch.advance("supplement", f"{case.label}: {lines[case.label].state}")
    found = [lines[case.label] for case in cases if case.label in lines]
    return SupplementReport(lines=tuple(found), lacking=len(cases), stopped=stopped)


def _fault(case: SupplementCase, error: BaseException) -> SupplementLine:
    """A commit without a decision, which a later run retries."""
    kinds = {CapReached: "cap-reached", ProviderError: "provider-error", CleanRoomError: "fault"}
    state = next((state for kind, state in kinds.items() if isinstance(error, kind)), "harness-error")
    message = str(error) if isinstance(error, CleanRoomError) else f"{type(error).__name__}: {error}"
    return _line(case, state).model_copy(update={"detail": message, "undecided": True})


def _found(case: SupplementCase, found: Supplement, quality: TestQuality | None) -> SupplementLine:
    """A commit with a decision; accepted tests go into its package."""
    last = found.rounds[-1].trial
    cost = sum(each.reply.cost for each in found.rounds if each.reply)
    line = _line(case, ACCEPTED if found.instance else last.refusal or ACCEPTED).model_copy(
        update={"rounds": len(found.rounds), "cost": cost, "detail": "" if found.instance else last.detail}
    )
    if found.instance is None or found.instance.generated is None or quality is None:
        return line
    store_instance(case.subject.package, found.instance)
    by_test = found.instance.generated.told_apart
    return line.model_copy(
        update={
            "fail_to_pass": len(by_test),
            "how": dict(sorted(Counter(how.value for how in by_test.values()).items())),
            "coverage": quality.coverage,
            "killed": quality.killed,
            "hunks": quality.total,
        }
    )


def _line(case: SupplementCase, state: str) -> SupplementLine:
    instance = case.subject.instance
    package, task = case.subject.package.manifest.name, instance.task.splitlines()[0]
    return SupplementLine(package=package, commit=instance.commit, task=task, state=state)


def _publish(report: SupplementReport) -> None:
    """Show the result of each commit as a table in the UI."""
    rows = [{**line.model_dump(), "commit": line.commit[:10]} for line in report.lines]
    create_table_artifact(key="supplement", table=rows, description=report.stopped or "Tests that a teacher wrote")
