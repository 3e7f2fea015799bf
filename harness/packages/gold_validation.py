"""Gold validation: whether a mined commit is an instance, that is, its tests distinguish it from its parent.

Three states are run: the parent, the parent with the commit's tests, and the commit. FAIL_TO_PASS are the tests in
touched files that fail in the second and pass in the third; PASS_TO_PASS pass in the first and in the third. Tests that
differ between repeats are excluded, and a commit without a stable FAIL_TO_PASS test is invalid for a stated reason.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from models.manifest import NODE, PYTHON, Commit, ExcludedTest, InvalidReason
from models.suite import CaseStatus, SuiteEnd, SuiteReport
from repos.git import Git
from runtime.sandbox import ProcessEnd
from runtime.testing import NODE_RUNNER, PYTEST, Selection, file_of
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

REPEATS = 3
_LANGUAGES = {PYTHON: "Python", NODE: "JavaScript or TypeScript"}
_FOUND = "module:"
_WHERE_ARE = """\
import importlib.util, sys
for name in sys.argv[1:]:
    try:
        spec = importlib.util.find_spec(name)
        origin = spec.origin or list(spec.submodule_search_locations)[0] if spec else ""
    except Exception as error:
        origin = type(error).__name__
    print("\\nmodule:" + name, origin, sep="\\t", flush=True)
"""
VANISHED_SHARE = 0.05
"""Largest share of the parent's passing tests that may be absent at the commit, in files it does not touch."""


@dataclass(frozen=True)
class GoldVerdict:
    """Outcome of gold validation; `reason` is None for a valid commit. `seconds` are the wall times of the runs.

    `unbuilt` says why the distribution was used from its sources where its build failed.
    """

    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    excluded: tuple[ExcludedTest, ...] = ()
    reason: InvalidReason | None = None
    detail: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    unbuilt: str = ""


@dataclass(frozen=True)
class StateRuns:
    """The reports of the three states; `before` and `after` hold their repeats, full runs of the commit first."""

    parent: SuiteReport
    before: tuple[SuiteReport, ...]
    after: tuple[SuiteReport, ...]
    touched: frozenset[str]


class _Invalid(Exception):
    def __init__(self, reason: InvalidReason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def validate_gold(runtime: Runtime, git: Git, commit: Commit, provided: Provisioned) -> GoldVerdict:
    """Run the three states of a commit and decide. Raises InfrastructureError only; all other faults are verdicts."""
    seconds: dict[str, float] = {}
    tests = (change.path for change in commit.changes if change.kind == "test")
    runner = NODE_RUNNER if provided.environment.language == NODE else PYTEST
    touched = tuple(sorted(path for path in tests if path.endswith(runner.test_suffixes)))
    try:
        if not touched:
            raise _Invalid(
                InvalidReason.NO_TESTS, f"no {_LANGUAGES[provided.environment.language]} test file is changed"
            )
        return decide(_run_states(runtime, git, commit, provided, touched, seconds), seconds)
    except _Invalid as invalid:
        return GoldVerdict(reason=invalid.reason, detail=invalid.detail, seconds=seconds)
    except BuildFailed as error:
        return GoldVerdict(reason=InvalidReason.BUILD_FAILED, detail=str(error), seconds=seconds)


def _run_states(
    runtime: Runtime,
    git: Git,
    commit: Commit,
    provided: Provisioned,
    touched: tuple[str, ...],
    seconds: dict[str, float],
) -> StateRuns:
    full = Selection(first=touched)
    first_only = Selection(first=touched, stop="after-first")

    def state(name: str, base: str, selection: Selection, *, with_tests: bool) -> SuiteReport:
        with checked_out(git, base, runtime.scratch) as tree:
            installation = install(runtime, tree, provided, of_commit=True)
            if with_tests:
                install_tests(git, commit.sha, tree)
            report = run_tests(runtime, tree, provided, selection, installation)
        seconds[name] = round(report.seconds, 3)
        return report

    after = [state("after-1", commit.sha, full, with_tests=False)]
    only = frozenset(touched) if provided.environment.language == NODE else None
    _check_ran(after[0], "the commit", only)
    if provided.environment.language == PYTHON:
        _check_imports(runtime, git, commit, provided)
    before = [state("before-1", commit.parent, first_only, with_tests=True)]
    distinguished = _distinguishes(before[0], after[0], touched)
    if not distinguished and not _skipped(after[0], frozenset(touched)):
        # no repeat can show a difference, and no skip needs the parent as explanation: skip the rest
        return StateRuns(after[0], tuple(before), tuple(after), frozenset(touched))
    parent = state("parent", commit.parent, Selection(), with_tests=False)
    _check_ended(parent, "the parent")
    if not distinguished:
        return StateRuns(parent, tuple(before), tuple(after), frozenset(touched))
    for repeat in range(2, REPEATS + 1):
        selection = full if repeat == 2 else first_only
        after.append(state(f"after-{repeat}", commit.sha, selection, with_tests=False))
        _check_ended(after[-1], "the commit, repeated,")
        before.append(state(f"before-{repeat}", commit.parent, first_only, with_tests=True))
    return StateRuns(parent, tuple(before), tuple(after), frozenset(touched))


def _distinguishes(before: SuiteReport, after: SuiteReport, touched: Iterable[str]) -> bool:
    return bool({i for i in after.passed if file_of(i) in set(touched)} - before.passed)


def _check_ended(report: SuiteReport, what: str) -> None:
    if report.end is SuiteEnd.TIMEOUT:
        raise _Invalid(InvalidReason.TIMEOUT, f"the suite of {what} did not end within {report.seconds:.0f} s")
    if report.end in (SuiteEnd.CRASHED, SuiteEnd.USAGE, SuiteEnd.OUTPUT_LIMIT):
        raise _Invalid(InvalidReason.CRASHED, f"the suite of {what}: {report.end.value}: {_last_line(report.output)}")


def _check_ran(report: SuiteReport, what: str, only: frozenset[str] | None) -> None:
    """Check that a suite ran, and that its files were loaded: all, or `only` some."""
    _check_ended(report, what)
    errors = {file: error for file, error in report.collection_errors.items() if only is None or file in only}
    if errors:
        file, error = sorted(errors.items())[0]
        raise _Invalid(InvalidReason.COLLECTION_ERROR, f"{file} at {what}: {_last_line(error)}")
    if report.end is SuiteEnd.NO_TESTS or not report.cases:
        raise _Invalid(InvalidReason.NO_TESTS, f"no test was collected at {what}")


def _check_imports(runtime: Runtime, git: Git, commit: Commit, provided: Provisioned) -> None:
    """Check that the tests import the commit's own distribution, and not an installed one of the same name."""
    with checked_out(git, commit.sha, runtime.scratch) as tree:
        installation = install(runtime, tree, provided, of_commit=True)
        setup = lay_over(runtime, tree, provided, installation)
        root = runtime.sandbox.workdir_path(tree)
        own = (root, *setup.extra_path)
        finished = runtime.sandbox.run(
            [str(setup.python), "-c", _WHERE_ARE, *installation.modules],
            workdir=tree,
            mounts=setup.mounts,
            env={"PYTHONPATH": os.pathsep.join(setup.import_path(root))},
            limits=runtime.limits,
        )
        lines = finished.output.splitlines()
        found = [line.partition("\t") for line in lines if line.startswith(_FOUND)]
        for marked, _, origin in found:
            if not any(Path(origin).is_relative_to(place) for place in own):
                environment = Path(origin).is_relative_to(setup.python.parent.parent)
                where = "the environment" if environment else Path(origin).name or "nowhere"
                name = marked.removeprefix(_FOUND)
                raise _Invalid(InvalidReason.SHADOWED, f"{name} is imported from {where}, not from the work tree")
        if finished.ending is not ProcessEnd.EXITED or len(found) != len(installation.modules):
            raise _Invalid(
                InvalidReason.SHADOWED, f"where modules come from was not found out: {_last_line(finished.output)}"
            )


def decide(runs: StateRuns, seconds: dict[str, float] | None = None) -> GoldVerdict:
    """The verdict from the reports of the three states."""
    try:
        return _sorted_out(runs, seconds or {})
    except _Invalid as invalid:
        return GoldVerdict(reason=invalid.reason, detail=invalid.detail, seconds=seconds or {})


def _sorted_out(runs: StateRuns, seconds: dict[str, float]) -> GoldVerdict:
    ids = set[str]().union(*(report.cases.keys() for report in (runs.parent, *runs.before, *runs.after)))
    full = [runs.parent, *runs.after[:2]]
    steady = set.intersection(*(report.passed for report in runs.after[:2]))
    in_touched = {i for i in ids if file_of(i) in runs.touched}
    repeated = [report.passed for report in runs.after]
    passes = {i for i in steady if i not in in_touched or all(i in passed for passed in repeated)}
    sometimes = set[str]().union(*repeated[:2])
    wavering = (sometimes - steady) | ((sometimes & in_touched) - passes)

    excluded = dict.fromkeys(runs.after[0].collection_errors, "the file does not load at the commit")
    for test in sorted(ids):
        if _is_doctest(test):
            excluded[test] = "doctest: its id holds a line number"
        elif test in wavering:
            excluded[test] = "flaky: passed in some runs of the commit and not in others"
        elif test not in passes:
            excluded[test] = _why_not_passing(test, full)
    fails_before = {i for i in in_touched if all(_fails(i, report, runs.parent) for report in runs.before)}
    fail_to_pass = {i for i in passes & fails_before if i not in excluded}
    pass_to_pass = {i for i in passes - fail_to_pass if i not in excluded and _passed_before(i, runs)}
    for test in sorted(passes - fail_to_pass - pass_to_pass - excluded.keys()):
        excluded[test] = "passes at the commit only, outside the touched test files"
    _check_vanished(runs)
    if not fail_to_pass:
        raise _no_fail_to_pass(runs, excluded, in_touched)
    missing = [c for c in _skipped(runs.after[0], runs.touched) if _missing_module(c[1])]
    if missing:
        raise _Invalid(InvalidReason.SKIPPED_TESTS, f"{missing[0][0]} skips: {missing[0][1]}")
    return GoldVerdict(
        tuple(sorted(fail_to_pass)),
        tuple(sorted(pass_to_pass)),
        tuple(ExcludedTest(id=i, reason=r) for i, r in sorted(excluded.items())),
        seconds=seconds,
    )


def _is_doctest(test: str) -> bool:
    """Whether a test is an example in a document or a docstring; scripts have none."""
    return not file_of(test).endswith(NODE_RUNNER.test_suffixes) and PYTEST.is_doctest(test)


def _fails(test: str, before: SuiteReport, parent: SuiteReport) -> bool:
    """Whether a test was seen to fail without the commit's production changes.

    A module (or a conftest) that no longer imports fails as a whole: that counts only for tests that the parent did not
    have. A run that was cut short is no evidence about tests that it did not reach.
    """
    if test in before.cases:
        return test not in before.passed
    broken = file_of(test) in before.collection_errors or before.end is SuiteEnd.USAGE
    return broken and test not in parent.cases


def _passed_before(test: str, runs: StateRuns) -> bool:
    return test in runs.parent.passed or all(test in report.passed for report in runs.before)


def _check_vanished(runs: StateRuns) -> None:
    """Detect a defective environment: tests of untouched files that are no longer collected.

    Doctests do not count: the ids of those in documents contain line numbers, which shift with every line added above.
    """
    passed = {i for i in runs.parent.passed if not _is_doctest(i)}
    before = {i for i in passed if file_of(i) not in runs.touched}
    gone = before - runs.after[0].cases.keys()
    if len(gone) > VANISHED_SHARE * len(passed) and len(gone) > 1:
        raise _Invalid(
            InvalidReason.COLLECTION_ERROR,
            f"{len(gone)} of {len(before)} tests in untouched files are not collected at the commit, e.g. {min(gone)}",
        )


def _no_fail_to_pass(runs: StateRuns, excluded: dict[str, str], in_touched: set[str]) -> _Invalid:
    """The reason why nothing distinguishes the commit from its parent."""
    flaky = [i for i in in_touched if excluded.get(i, "").startswith("flaky")]
    if flaky:
        return _Invalid(InvalidReason.FLAKY, f"{flaky[0]} and {len(flaky) - 1} more waver between runs of the commit")
    for test, why in _skipped(runs.after[0], runs.touched):
        if _missing_module(why):
            return _Invalid(InvalidReason.SKIPPED_TESTS, f"{test} skips: {why}")
    new = [(test, why) for test, why in _skipped(runs.after[0], runs.touched) if test not in runs.parent.cases]
    if in_touched & runs.after[0].passed - runs.parent.cases.keys():
        new = []  # new tests ran and distinguished nothing: a skip is not the reason
    for test, why in new:
        if re.search(r"python|3\.\d+|version", why, re.I):
            return _Invalid(InvalidReason.NEEDS_NEWER_PYTHON, f"{test} skips: {why}")
        if re.search(r"windows|macos|darwin|platform|linux", why, re.I):
            return _Invalid(InvalidReason.NEEDS_OTHER_PLATFORM, f"{test} skips: {why}")
    if new:
        return _Invalid(InvalidReason.SKIPPED_TESTS, f"{new[0][0]} and {len(new) - 1} more new tests skip: {new[0][1]}")
    failing = sorted(i for i in in_touched if i in runs.after[0].ids(CaseStatus.FAILED, CaseStatus.ERROR))
    if failing:
        message = _last_line(runs.after[0].cases[failing[0]].message)
        return _Invalid(InvalidReason.GOLD_FAILS, f"{failing[0]} fails on the commit itself: {message}")
    if any(
        report.end is not SuiteEnd.COMPLETED or runs.touched & report.collection_errors.keys() for report in runs.before
    ):
        why = "the touched test files break as a whole at the parent, and hold no test that the parent did not have"
        return _Invalid(InvalidReason.NO_FAIL_TO_PASS, why)
    return _Invalid(InvalidReason.NO_FAIL_TO_PASS, "every touched test passes without the commit's production changes")


def _skipped(report: SuiteReport, touched: frozenset[str]) -> list[tuple[str, str]]:
    cases = (c for c in report.cases.values() if c.status is CaseStatus.SKIPPED and file_of(c.id) in touched)
    return sorted((case.id, _last_line(case.message)) for case in cases)


def _missing_module(why: str) -> bool:
    return bool(
        re.search(
            r"could not import|no module named|not installed|is required|requires? \w+ (package|library)",
            why,
            re.I,
        )
    )


def _why_not_passing(test: str, full: list[SuiteReport]) -> str:
    statuses = [report.cases[test].status.value for report in full if test in report.cases]
    if not statuses:
        return "seen only without the commit's production changes"
    if test not in full[1].cases:
        return "no longer there at the commit"
    return f"{statuses[-1]} at the commit"


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "no message"
