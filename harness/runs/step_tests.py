"""The tests after a step: those of the work tree that the changed files may break, never the hidden ones.

The work tree is the parent's with the planner's changes, so its tests are the parent's and the planner's own. They run
in a copy in the sandbox, so that their leftovers are invisible to the planner and to later runs.
"""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.packages.package import RepoPackage
from harness.planners.imports import imported
from host.folders import copy_tree
from host.throwaway import discard
from models.errors import InfrastructureError
from models.manifest import Instance
from models.suite import SuiteEnd, SuiteReport
from repos.index.paths import PYTHON, is_documentation
from repos.index.suite_layout import PLAIN, SuiteLayout
from repos.layouts import layout_at
from repos.trees import files_and_links
from runtime.testing import Selection
from runtime.trees import BuildFailed, Provisioned, Runtime, install, run_tests
from store.keys import digest

if TYPE_CHECKING:
    from repos.index import RepositoryIndex

ReportCache = Callable[[str, Callable[[], SuiteReport]], SuiteReport]
"""Called with the identity of a test run and a function that does it; returns its report, possibly cached."""

HOPS = 2
"""Most imports between a changed file and a test that counts as exercising it, without an index."""


def run_anew(key: str, run: Callable[[], SuiteReport]) -> SuiteReport:
    """Keep nothing."""
    return run()


@dataclass(frozen=True)
class StepTests:
    """The tests of one work tree. `fallback` are test files to run if the affected ones are unknown."""

    runtime: Runtime
    tree: Path
    provided: Provisioned
    instance: Instance
    fallback: tuple[str, ...]
    index: "RepositoryIndex | None" = None
    keep: ReportCache = run_anew
    layout: SuiteLayout = PLAIN

    def run(self, changed: Collection[str], patch: str) -> SuiteReport | None:
        """Run the tests that changed files may break; None if there are none. `patch` is the whole change so far.

        Raises InfrastructureError when the sandbox fails.
        """
        found = self.affected(changed)
        if not found:
            return None
        files = tuple(found)
        limits = self.runtime.limits.model_dump(mode="json")
        environment = self.instance.environment
        if self.instance.build is not None:
            environment = f"{environment}+{self.instance.build}"
        key = digest("step-tests", self.instance.base_commit, environment, patch, files, limits)
        report = self.keep(key, lambda: self._run(files))
        unsteady = {each.id for each in self.instance.excluded}
        cases = {i: c for i, c in report.cases.items() if i not in unsteady}
        how = "; ".join(f"{path}: {reason}" for path, reason in found.items())
        return report.model_copy(update={"cases": cases, "output": f"[affected tests: {how}]\n{report.output}"})

    def affected(self, changed: Collection[str]) -> dict[str, str]:
        """Test files that changed files may break, sorted, each with how it was found: themselves, those that exercise
        them, or the fallback."""
        there = sorted(path for path, link in files_and_links(self.tree) if not link and path.endswith(PYTHON))
        tests = [path for path in there if self.layout.holds_tests(path)]
        found = {path: "changed" for path in changed if path in tests}
        code = [path for path in changed if path not in found and not is_documentation(path)]
        for path in code:
            exercising = self._exercising(path, tests, there)
            unknown = {test: f"no test of {path} is known" for test in self.fallback if test in tests}
            found = {**(exercising or unknown), **found}
        return dict(sorted(found.items()))

    def _exercising(self, path: str, tests: Collection[str], there: Collection[str]) -> dict[str, str]:
        if PurePosixPath(path).name == "conftest.py":
            folder = PurePosixPath(path).parent
            return {test: f"below {path}" for test in tests if PurePosixPath(test).is_relative_to(folder)}
        if self.index is not None and path in self.index:
            known = {each.path: each.why for each in self.index.affected_tests(path) if each.path in tests}
            if known:
                return known
        return dict.fromkeys(_importers(self.tree, path, there) & set(tests), "import")

    def _run(self, files: tuple[str, ...]) -> SuiteReport:
        with _copied(self.tree, self.runtime.scratch) as copy:
            try:
                installation = install(self.runtime, copy, self.provided)
            except BuildFailed as error:
                return SuiteReport(end=SuiteEnd.CRASHED, exit_code=None, seconds=0.0, output=str(error))
            return run_tests(self.runtime, copy, self.provided, Selection(only=files), installation)


@contextmanager
def step_tests(
    runtime: Runtime,
    package: RepoPackage,
    instance: Instance,
    tree: Path,
    seconds: float,
    index: "RepositoryIndex | None" = None,
    keep: ReportCache = run_anew,
) -> Iterator[StepTests]:
    """The tests of an instance's work tree, with its environment held during them; each run takes at most `seconds`.

    Raises EnvironmentFault and WheelError.
    """
    limits = runtime.limits.model_copy(update={"wall_seconds": min(seconds, runtime.limits.wall_seconds)})
    with package.provisioned(runtime, instance) as provided:
        fallback = tuple(sorted({test.split("::")[0] for test in instance.pass_to_pass}))
        layout = layout_at(package.git, instance.base_commit)
        yield StepTests(replace(runtime, limits=limits), tree, provided, instance, fallback, index, keep, layout)


def _importers(tree: Path, path: str, there: Iterable[str]) -> set[str]:
    """Files that import `path`, directly or through others."""
    texts = {each: (tree / each).read_text(encoding="utf-8", errors="replace") for each in there}
    found: set[str] = set()
    frontier = {path}
    for _ in range(HOPS):
        frontier = {each for each, text in texts.items() if each not in found and imported(each, text, frontier)}
        found |= frontier
    return found


@contextmanager
def _copied(tree: Path, scratch: Path) -> Iterator[Path]:
    try:
        root = Path(tempfile.mkdtemp(prefix="step-", dir=scratch))
        copy = root / "tree"
        copy_tree(tree, copy)
    except OSError as error:
        raise InfrastructureError(
            f"no copy of the work tree in {scratch}: {error.strerror}; free disk space"
        ) from error
    try:
        yield copy
    finally:
        discard(root)
