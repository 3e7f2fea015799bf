"""The runs of gold validation: states of a commit, each in a fresh tree, kept until the commit is decided."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from harness.packages.package import write_atomically
from models.limits import Limits
from models.manifest import Commit, Instance, SampledSuite
from models.suite import SuiteEnd, SuiteReport
from repos.git import Git
from runtime.testing import Selection
from runtime.trees import Provisioned, Runtime, checked_out, install, install_tests, run_tests

_KEPT = (SuiteEnd.COMPLETED, SuiteEnd.NO_TESTS)
"""Ends of runs that are kept: all others may be due to a busy machine."""


def _say_nothing(text: str) -> None:
    pass


@dataclass(frozen=True)
class GoldEffort:
    """How much gold validation of one commit may cost, and where its finished runs are kept.

    `seconds` is for all runs of the commit together; None: no limit but that of each run. `sampled` is the
    part of the suite that is run whatever it costs: an earlier validation chose it.
    """

    seconds: float | None = None
    workers: int = 1
    share_from: float = 30.0
    kept: Path | None = None
    key: str = ""
    index_cache: Path | None = None
    say: Callable[[str], None] = _say_nothing
    sampled: SampledSuite | None = None


@dataclass(frozen=True)
class GoldRuns:
    """Runs of a commit's states. `seconds` gets the wall time of each run, also of one that was kept from before."""

    runtime: Runtime
    git: Git
    commit: Commit
    provided: Provisioned
    effort: GoldEffort
    seconds: dict[str, float] = field(default_factory=dict)
    sampled: SampledSuite | None = None
    build_limits: Limits | None = None

    def only(self, sampled: SampledSuite) -> "GoldRuns":
        """The same, with the tests of some files alone."""
        return replace(self, sampled=sampled)

    def within(self, wall: float) -> "GoldRuns":
        """The same, with a limit on the seconds of each run."""
        limits = self.runtime.limits
        limits = limits.model_copy(update={"wall_seconds": min(limits.wall_seconds, wall)})
        before = self.build_limits or self.runtime.limits  # a build has all the time that it would have
        return replace(self, runtime=replace(self.runtime, limits=limits), build_limits=before)

    def parent(self, name: str, *, workers: int = 1) -> SuiteReport:
        """Run the parent's own tests."""
        return self._state(name, self.commit.parent, Selection(), workers=workers, with_tests=False)

    def before(self, name: str, selection: Selection) -> SuiteReport:
        """Run the commit's tests on the parent."""
        return self._state(name, self.commit.parent, selection, workers=1, with_tests=True)

    def after(self, name: str, selection: Selection, *, workers: int = 1) -> SuiteReport:
        """Run the commit's tests on the commit."""
        return self._state(name, self.commit.sha, selection, workers=workers, with_tests=False)

    def _state(self, name: str, base: str, selection: Selection, *, workers: int, with_tests: bool) -> SuiteReport:
        path = self._place(name, workers)
        report = _kept(path)
        if report is None:
            report = self._run(base, selection, workers, with_tests=with_tests)
            if path is not None and report.end in _KEPT:
                write_atomically(path, report.model_dump_json())
        self.seconds[name] = round(report.seconds, 3)
        return report

    def _run(self, base: str, selection: Selection, workers: int, *, with_tests: bool) -> SuiteReport:
        with checked_out(self.git, base, self.runtime.scratch) as tree:
            whole = replace(self.runtime, limits=self.build_limits or self.runtime.limits)
            installation = install(whole, tree, self.provided, of_commit=True)
            if with_tests:
                install_tests(self.git, self.commit.sha, tree)
            if self.sampled is not None:
                there = tuple(path for path in self.sampled.files if (tree / path).is_file())
                if not there:
                    return SuiteReport(end=SuiteEnd.NO_TESTS, exit_code=0, seconds=0.0)
                selection = replace(selection, only=there)
            return run_tests(self.runtime, tree, self.provided, selection, installation, workers=workers)

    def _place(self, name: str, workers: int) -> Path | None:
        if self.effort.kept is None:
            return None
        sampled = self.sampled.model_dump_json() if self.sampled else ""
        wall = self.runtime.limits.wall_seconds
        what = hashlib.sha256(f"{sampled}\0{workers > 1}\0{wall}".encode()).hexdigest()[:16]
        return self.effort.kept / self.effort.key / f"{name}-{what}.json"


def sampled_files(instance: Instance, tree: Path) -> tuple[str, ...]:
    """The test files that are run for an instance whose suite is sampled, as far as a tree has them, with its generated
    ones; none for the whole suite."""
    if instance.sampled is None:
        return ()
    generated = (file.path for file in instance.generated.files) if instance.generated else ()
    return tuple(path for path in (*instance.sampled.files, *generated) if (tree / path).is_file())


def _kept(path: Path | None) -> SuiteReport | None:
    if path is None or not path.is_file():
        return None
    try:
        return SuiteReport.model_validate_json(path.read_bytes())
    except ValidationError:  # damaged: it is run anew
        return None
