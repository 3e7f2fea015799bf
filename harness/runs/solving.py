"""Prepares a user's own repository for an attempt: a revision, an environment for its tests, no reference answer.

An order is identified by its text and base commit, so that the same command resumes it.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from harness.packages.building import find_builder
from harness.packages.locking import environment_for
from harness.packages.package import RepoPackage
from harness.packages.prepare import name_of, origin_of
from harness.runs.attempt import InstanceContext
from host.private import make_directory
from models.errors import EnvironmentFault, InfrastructureError, RepositoryError, UsageError, WheelError
from models.files import Overlay
from models.manifest import Environment, Instance, Manifest, MiningFunnel
from models.plans import Frozen
from models.suite import CaseStatus, SuiteEnd, SuiteReport
from repos.clones import cached_clone
from repos.git import Git
from repos.trees import overlay
from runtime.environments import Era, calendar_of, pretend_version
from runtime.environments.discovery import discover_commit
from runtime.testing import Selection
from runtime.trees import BuildFailed, Runtime, checked_out, install, run_tests
from store.keys import digest

_GOOD = (CaseStatus.PASSED, CaseStatus.XFAILED)


class SolveOrder(Frozen):
    """A user's order. `gold` names the commit whose change the gold planner makes."""

    task: str
    repository: str
    revision: str = "HEAD"
    gold: str | None = None
    tests: bool = True


class FullCheck(Frozen):
    """The whole suite before and after: counts, tests that no longer pass, and new tests that pass."""

    before: dict[str, int]
    after: dict[str, int]
    broken: tuple[str, ...]
    new: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class SolveContext:
    """The workplace of an order: its instance, and the reason if no tests run."""

    key: str
    instance_context: InstanceContext
    untested: str = ""


@contextmanager
def solve_context(order: SolveOrder, runtime: Runtime, cache: Path) -> Iterator[SolveContext]:
    """The place of an order, held against a second process with the same one.

    Raises RepositoryError, UsageError for an order that is in progress, InfrastructureError for a full disk.
    """
    with cached_clone(Path(order.repository), cache) as git:
        head = _resolved(git, order.gold or order.revision, order.repository)
        key = digest("order", order.model_dump(mode="json"), head)
        folder = cache / "solving"
        try:
            make_directory(folder / "packages")
            packages = git.directory.parent / "packages"
            if not packages.exists():
                packages.symlink_to(folder / "packages", target_is_directory=True)
            lock = (folder / f"{key[:16]}.lock").open("w")
        except OSError as error:
            raise InfrastructureError(f"{folder} cannot be used: {error.strerror}; free disk space") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(f"this task is being worked on in {order.repository} by another process") from error
            yield _placed(key, order, git, head, runtime, cache)


def _resolved(git: Git, revision: str, repository: str) -> str:
    try:
        return git.resolve(revision)
    except RepositoryError as error:
        raise RepositoryError(f"{repository} has no commit {revision!r}") from error


def _placed(key: str, order: SolveOrder, git: Git, head: str, runtime: Runtime, cache: Path) -> SolveContext:
    base = _resolved(git, f"{order.gold}^", order.repository) if order.gold else head
    environment, builder, untested = None, None, "tests are off"
    if order.tests:
        environment, builder, untested = _environments(runtime, git, base, cache / "solving" / "packages", cache)
    name = name_of(git, head, order.repository)
    instance = Instance(
        instance_id=f"{name}__{head[:12]}",
        commit=head,
        base_commit=base,
        task=order.task,
        planning_types=(),
        production_files=(),
        test_files=(),
        version=pretend_version(git.last_tag(base)),
        environment=environment.key if environment else None,
        build=builder.key if builder else None,
    )
    manifest = Manifest(
        name=name,
        source=origin_of(order.repository),
        license=None,
        organisation=None,
        domain=None,
        head=head,
        python=environment.python if environment else "",
        test_command=discover_commit(git, base).test_command,
        lines_of_code=0,
        funnel=MiningFunnel(total=0, dropped={}, needs_message=0, kept=0, mixed=0),
        environments=tuple(each for each in (environment, builder) if each),
        instances=(instance,),
    )
    package = RepoPackage(git.directory.parent, manifest)
    return SolveContext(key, InstanceContext(runtime, package, instance), untested)


def _environments(
    runtime: Runtime, git: Git, base: str, wheels: Path, cache: Path
) -> tuple[Environment | None, Environment | None, str]:
    """The environment of the base's tests, or None and the reason; and that of its build, if there is one."""
    day = calendar_of(git).day(base) + timedelta(days=1)  # there is no answer yet that a release could leak
    try:
        environment = environment_for(discover_commit(git, base), Era(day, day), {}, wheels, cache)
    except (EnvironmentFault, WheelError) as error:
        return None, None, str(error)
    version = pretend_version(git.last_tag(base))
    try:
        return environment, find_builder(runtime, git, [base], environment, version, day, wheels, cache), ""
    except (EnvironmentFault, WheelError, BuildFailed):  # the base is then used from its sources
        return environment, None, ""


def check_whole(instance_context: InstanceContext, changes: Overlay) -> FullCheck:
    """Run the repository's whole suite on the base and on the base with `changes`.

    Raises EnvironmentFault, WheelError, InfrastructureError.
    """
    instance, runtime = instance_context.instance, instance_context.runtime
    with instance_context.package.provisioned(runtime, instance) as provided:
        reports = []
        for laid in ({}, changes):
            with checked_out(instance_context.package.git, instance.base_commit, runtime.scratch) as tree:
                overlay(tree, laid)
                try:
                    installation = install(runtime, tree, provided, of_commit=not laid)
                    reports.append(run_tests(runtime, tree, provided, Selection(), installation))
                except BuildFailed as error:
                    reports.append(SuiteReport(end=SuiteEnd.NOT_RUN, exit_code=None, seconds=0.0, output=str(error)))
    return compare(*reports)


def compare(before: SuiteReport, after: SuiteReport) -> FullCheck:
    """The effect of a change on a suite. A run that ended abnormally breaks every test that passed before."""
    passed_before = {i for i, case in before.cases.items() if case.status in _GOOD}
    passed_after = {i for i, case in after.cases.items() if case.status in _GOOD}
    skipped = {i for i, case in after.cases.items() if case.status is CaseStatus.SKIPPED}
    return FullCheck(
        before=_counts(before),
        after=_counts(after),
        broken=tuple(sorted(passed_before - passed_after - skipped)),
        new=tuple(sorted(passed_after - before.cases.keys())),
        seconds=round(before.seconds + after.seconds, 3),
    )


def _counts(report: SuiteReport) -> dict[str, int]:
    return dict(sorted(report.counts().items()))
