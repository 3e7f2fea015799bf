"""Tests measured against a patch: coverage of its lines, and mutation testing by reverting its hunks.

Changed lines that no test runs are not checked by any. A line that runs may still go unchecked, so each hunk of the
patch is also reverted in turn: a test that passes on the whole patch should then fail.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from harness.packages.package import RepoPackage
from harness.test_quality.mutants import Reverted, Sides, changed_lines, reverted
from models.errors import EditError
from models.files import FileContent, Overlay
from models.generated import Failing
from models.limits import Limits
from models.manifest import Instance
from models.suite import CaseStatus, SuiteEnd, SuiteReport
from models.test_quality import Mutant, MutantOutcome, TestQuality
from repos import text as texts
from repos.index.paths import is_test_path
from repos.trees import overlay
from runtime.testing import Lines, Selection, runner_of
from runtime.testing.failures import how_first, how_it_fails
from runtime.trees import (
    BuildFailed,
    Provisioned,
    Runtime,
    checked_out,
    install,
    install_tests,
    lay_over,
    run_tests,
)

QUALITY_VERSION = 1
"""Raised whenever a measurement could come out differently."""

MOST_MUTANTS = 40
"""Most hunks that are reverted; of more, as many at even distances."""

_SLOWER = 5.0  # factor over the whole patch's time after which a mutant counts as killed
_AT_LEAST = 30.0  # seconds that a mutant may take in any case


def quality_conditions(runtime: Runtime) -> dict[str, Any]:
    """What a measurement depends on in addition to instance, patch and tests (JSON-like, for keys)."""
    return {
        "limits": runtime.limits.model_dump(mode="json"),
        "sandbox": runtime.sandbox.kind,
        "version": QUALITY_VERSION,
        "mutants": MOST_MUTANTS,
    }


def quality_of_tests(
    runtime: Runtime,
    package: RepoPackage,
    instance: Instance,
    patch: Overlay,
    tests: Overlay,
    base_tests: str | None = None,
) -> TestQuality:
    """Measure `tests` against `patch`, both applied to the instance's base, with the tests of `base_tests` around them.

    `base_tests` is a commit, the instance's base if unset: helpers that the tests import come from there. Test files in
    `patch` and others in `tests` are ignored. Only tests in the files of `tests` count. Raises EnvironmentFault,
    WheelError and InfrastructureError; failures of the code under test are in the result.
    """
    production = {path: content for path, content in patch.items() if not is_test_path(path)}
    files = {path: content for path, content in tests.items() if is_test_path(path)}
    modules = tuple(sorted(path for path, content in files.items() if content is not None and path.endswith(".py")))
    if not modules:
        return TestQuality(note="there are no tests to measure")
    with package.provisioned(runtime, instance) as held:
        measurement = _MeasurementRuns(
            runtime, package, instance, held, production, files, base_tests or instance.base_commit
        )
        try:
            return _measured(measurement, modules, _sides(package, instance, production))
        except BuildFailed as error:
            return TestQuality(
                note=f"the patched repository does not build: {error}", seconds=round(measurement.seconds, 3)
            )


class _MeasurementRuns:
    """The patched tree with its tests, created anew for each run."""

    def __init__(
        self,
        runtime: Runtime,
        package: RepoPackage,
        instance: Instance,
        held: Provisioned,
        patch: Overlay,
        tests: Overlay,
        base_tests: str,
    ) -> None:
        self._runtime, self._git, self._base, self._held = runtime, package.git, instance.base_commit, held
        self._patch, self._tests, self._base_tests = patch, tests, base_tests
        self.seconds = 0.0

    def run(
        self, modules: tuple[str, ...], instead: Overlay, limits: Limits, measured: Iterable[str] = ()
    ) -> tuple[SuiteReport, dict[str, Lines]]:
        """Run the tests of `modules` with some files of the patch replaced; measure the lines of some files."""
        paths = sorted(measured)
        with checked_out(self._git, self._base, self._runtime.scratch) as tree:
            overlay(tree, {**self._patch, **instead})
            installation = install(self._runtime, tree, self._held)
            install_tests(self._git, self._base_tests, tree)
            overlay(tree, self._tests)
            selection = Selection(only=modules)
            if paths:
                setup = lay_over(self._runtime, tree, self._held, installation)
                report, lines = runner_of(setup).run_measured(
                    self._runtime.sandbox, tree, setup, selection, limits, paths
                )
            else:
                runtime = Runtime(self._runtime.sandbox, self._runtime.environments, limits, self._runtime.scratch)
                report, lines = run_tests(runtime, tree, self._held, selection, installation), {}
        self.seconds += report.seconds
        return report, lines

    @property
    def limits(self) -> Limits:
        """Limits of a run of the whole patch."""
        return self._runtime.limits


def _measured(measurement: _MeasurementRuns, modules: tuple[str, ...], sides: Sides) -> TestQuality:
    changed = changed_lines(sides)
    whole, lines = measurement.run(modules, {}, measurement.limits, changed)
    again, _ = measurement.run(modules, {}, measurement.limits)
    steady = whole.passed & again.passed
    unsteady = _unsteady(whole, again, steady)
    can = {path: changed[path] & lines[path].can for path in changed if path in lines}
    missed = [f"{path}:{line}" for path in sorted(can) for line in sorted(can[path] - lines[path].ran)]
    found = TestQuality(
        tests=tuple(sorted(steady)),
        unsteady=unsteady,
        changed=sum(map(len, can.values())),
        missed=tuple(missed),
        note="" if steady else f"no test passes steadily on the whole patch ({whole.end.value})",
    )
    mutants: list[Mutant] = []
    if steady:
        seconds = max(_AT_LEAST, _SLOWER * max(whole.seconds, again.seconds))
        limits = measurement.limits.model_copy(update={"wall_seconds": min(measurement.limits.wall_seconds, seconds)})
        chosen = _chosen(reverted(sides))
        mutants = [_outcome(measurement, modules, each, steady, limits) if run else each.mutant for each, run in chosen]
    return found.model_copy(update={"mutants": tuple(mutants), "seconds": round(measurement.seconds, 3)})


def _unsteady(whole: SuiteReport, again: SuiteReport, steady: set[str]) -> dict[str, str]:
    """Tests that do not count, each with the reason; a module that could not be collected represents its tests."""
    why = {}
    for test in sorted((whole.cases.keys() | again.cases.keys()) - steady):
        cases = [report.cases[test] for report in (whole, again) if test in report.cases]
        bad = next((case for case in cases if case.status is not CaseStatus.PASSED), None)
        why[test] = f"{bad.status.value}: {bad.message.strip()[:300]}" if bad else "ran in one of two runs only"
        if test in whole.passed | again.passed:
            why[test] = f"flaky: {why[test]}"
    return why | {
        path: f"not collected: {error.strip()[-300:]}" for path, error in sorted(whole.collection_errors.items())
    }


def _chosen(all_of_them: list[Reverted]) -> list[tuple[Reverted, bool]]:
    """Each mutant, and whether to run it: at most MOST_MUTANTS, evenly spaced; never an equivalent one."""
    run = [index for index, each in enumerate(all_of_them) if not each.equivalent]
    if len(run) > MOST_MUTANTS:
        run = [run[number * len(run) // MOST_MUTANTS] for number in range(MOST_MUTANTS)]
    return [
        (each if index in run or each.equivalent else _left_out(each), index in run)
        for index, each in enumerate(all_of_them)
    ]


def _left_out(each: Reverted) -> Reverted:
    return Reverted(each.mutant.model_copy(update={"fate": MutantOutcome.LEFT_OUT}), each.content)


def _outcome(
    measurement: _MeasurementRuns, modules: tuple[str, ...], each: Reverted, steady: set[str], limits: Limits
) -> Mutant:
    content = each.content
    instead = {each.mutant.path: (content.text.encode(), content.executable) if content else None}
    try:
        report, _ = measurement.run(modules, instead, limits)
    except BuildFailed:
        return each.mutant.model_copy(update={"fate": MutantOutcome.KILLED, "how": Failing.RUN})
    failing = {test: how for test in steady if (how := _noticed(test, report)) is not None}
    first = how_first(failing)
    if first is None:
        return each.mutant
    return each.mutant.model_copy(update={"fate": MutantOutcome.KILLED, "by": first[0], "how": first[1]})


def _noticed(test: str, report: SuiteReport) -> Failing | None:
    """How a test that passes on the whole patch fails on a part of it; None if it passes there too."""
    if test in report.passed:
        return None
    how = how_it_fails(test, report)
    if how is None:  # it was skipped, or is missing (its parameters come from the code)
        return Failing.COLLECTION if report.end in (SuiteEnd.COMPLETED, SuiteEnd.NO_TESTS) else Failing.RUN
    return how


def _sides(package: RepoPackage, instance: Instance, production: Overlay) -> Sides:
    """The patch's Python files before and after; those that are not text are left out."""
    sides: dict[str, tuple[FileContent | None, FileContent | None]] = {}
    modes: Mapping[str, str] = {entry.path: entry.mode for entry in package.git.tree(instance.base_commit)}
    for path, content in sorted(production.items()):
        if not path.endswith(".py"):
            continue
        old = package.git.read(instance.base_commit, path)
        try:
            before = None if old is None else FileContent(texts.decode(old, path), modes.get(path) == "100755")
            after = None if content is None else FileContent(texts.decode(content[0], path), content[1])
        except EditError:
            continue
        sides[path] = (before, after)
    return sides
