"""What the reports of the three states of a commit say: whether its tests distinguish it from its parent."""

import json
import re
from dataclasses import dataclass, field

from harness.packages.categories import PHRASES, category_of, fault_of, lacking, wants_absence
from harness.packages.causes import Invalid, cause_of, collection_fault
from models.causes import Cause, Layer, TestCategory
from models.manifest import ExcludedTest, InvalidReason, SampledSuite
from models.suite import CaseStatus, Fault, SuiteEnd, SuiteReport
from runtime.testing import NODE_RUNNER, PYTEST, file_of
from runtime.testing.output import last_line

VANISHED_SHARE = 0.05
"""Largest share of the parent's passing tests that may be absent at the commit, in files it does not touch."""
Exclusion = tuple[TestCategory, str]
"""Why a test takes no part in the verdict: the category, and the reason in a line."""


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
    cause: Cause | None = None
    sampled: SampledSuite | None = None

    def to_json(self) -> str:
        """The verdict as text, to be cached."""
        return json.dumps(self.__dict__, default=lambda model: model.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str) -> "GoldVerdict":
        """The verdict of a text."""
        raw = json.loads(text)
        return cls(
            tuple(raw["fail_to_pass"]),
            tuple(raw["pass_to_pass"]),
            tuple(ExcludedTest(**test) for test in raw["excluded"]),
            InvalidReason(raw["reason"]) if raw["reason"] else None,
            raw["detail"],
            raw["seconds"],
            raw["unbuilt"],
            Cause(**raw["cause"]) if raw["cause"] else None,
            SampledSuite(**raw["sampled"]) if raw["sampled"] else None,
        )


@dataclass(frozen=True)
class StateRuns:
    """The reports of the three states; `before` and `after` hold their repeats, full runs of the commit first."""

    parent: SuiteReport
    before: tuple[SuiteReport, ...]
    after: tuple[SuiteReport, ...]
    touched: frozenset[str]


def refusal(invalid: Invalid, seconds: dict[str, float] | None = None) -> GoldVerdict:
    """The verdict on a commit that cannot become an instance."""
    return GoldVerdict(reason=invalid.reason, detail=invalid.detail, seconds=seconds or {}, cause=invalid.cause)


def decide(runs: StateRuns, seconds: dict[str, float] | None = None) -> GoldVerdict:
    """The verdict from the reports of the three states."""
    try:
        return _sorted_out(runs, seconds or {})
    except Invalid as invalid:
        return refusal(invalid, seconds)


def candidates(before: tuple[SuiteReport, ...], after: tuple[SuiteReport, ...], touched: frozenset[str]) -> set[str]:
    """Tests in touched files that may be FAIL_TO_PASS: they passed in every run of the commit so far, and in none of
    the parent with the commit's tests."""
    passed = set.intersection(*(report.passed for report in after))
    return {i for i in passed if file_of(i) in touched and not any(i in report.passed for report in before)}


def _sorted_out(runs: StateRuns, seconds: dict[str, float]) -> GoldVerdict:
    ids = set[str]().union(*(report.cases.keys() for report in (runs.parent, *runs.before, *runs.after)))
    steady = set.intersection(*(report.passed for report in runs.after[:2]))
    in_touched = {i for i in ids if file_of(i) in runs.touched}
    repeated = [report.passed for report in runs.after]
    passes = {i for i in steady if i not in in_touched or all(i in passed for passed in repeated)}
    sometimes = set[str]().union(*repeated[:2])
    wavering = (sometimes - steady) | ((sometimes & in_touched) - passes)

    excluded = _excluded(ids, passes, wavering, runs)
    fails_before = {i for i in in_touched if all(_fails(i, report, runs.parent) for report in runs.before)}
    fail_to_pass = {i for i in passes & fails_before if i not in excluded}
    pass_to_pass = {i for i in passes - fail_to_pass if i not in excluded and _passed_before(i, runs)}
    for test in sorted(passes - fail_to_pass - pass_to_pass - excluded.keys()):
        excluded[test] = TestCategory.ONLY_AT_COMMIT, "passes at the commit only, outside the touched test files"
    _check_vanished(runs)
    if not fail_to_pass:
        raise _no_fail_to_pass(runs, excluded, in_touched)
    missing = [c for c in skipped(runs.after[0], runs.touched) if _missing_module(c[1])]
    if missing:
        raise _skips(f"{missing[0][0]} skips: {missing[0][1]}", InvalidReason.SKIPPED_TESTS)
    return GoldVerdict(
        tuple(sorted(fail_to_pass)),
        tuple(sorted(pass_to_pass)),
        tuple(ExcludedTest(id=i, reason=r, category=c) for i, (c, r) in sorted(excluded.items())),
        seconds=seconds,
    )


def _excluded(ids: set[str], passes: set[str], wavering: set[str], runs: StateRuns) -> dict[str, Exclusion]:
    excluded: dict[str, Exclusion] = {}
    for file in sorted(runs.after[0].collection_errors.keys() & runs.parent.collection_errors.keys()):
        fault = collection_fault(runs.after[0], file)
        category = lacking(fault) or TestCategory.BROKEN
        excluded[file] = category, f"not collected, neither at the commit nor at its parent: {fault}"
    for test in sorted(ids):
        if _is_doctest(test):
            excluded[test] = TestCategory.DOCTEST, "doctest: its id holds a line number"
        elif "::" not in test and test in passes:
            excluded[test] = TestCategory.SKIPPED, "a plugin's check of a whole file, and no test"
        elif test in wavering:
            excluded[test] = TestCategory.FLAKY, "flaky: passed in some runs of the commit and not in others"
        elif test not in passes:
            excluded[test] = _why_not_passing(test, runs)
    return excluded


def _is_doctest(test: str) -> bool:
    """Whether a test is an example in a document or a docstring; scripts have none."""
    return not file_of(test).endswith(NODE_RUNNER.test_suffixes) and PYTEST.is_doctest(test)


def _fails(test: str, before: SuiteReport, parent: SuiteReport) -> bool:
    """Whether a test was seen to fail without the commit's production changes.

    A module (or a conftest) that no longer imports fails as a whole: that counts only for tests that the parent did not
    have. A run that was cut short for its time is evidence about the test that was running, none about tests that it
    did not reach.
    """
    if test in before.unfinished:
        return before.end is SuiteEnd.TIMEOUT and test not in parent.passed
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
        raise Invalid(
            InvalidReason.COLLECTION_ERROR,
            f"{len(gone)} of {len(before)} tests in untouched files are not collected at the commit, e.g. {min(gone)}",
        )


def _no_fail_to_pass(runs: StateRuns, excluded: dict[str, Exclusion], in_touched: set[str]) -> Invalid:
    """The reason why nothing distinguishes the commit from its parent."""
    flaky = sorted(i for i in in_touched if i in excluded and excluded[i][0] is TestCategory.FLAKY)
    if flaky:
        return Invalid(InvalidReason.FLAKY, f"{flaky[0]} and {len(flaky) - 1} more waver between runs of the commit")
    if (skip := _telling_skip(runs, in_touched)) is not None:
        return skip
    failing = sorted(i for i in in_touched if i in runs.after[0].ids(CaseStatus.FAILED, CaseStatus.ERROR))
    if failing:
        return _gold_fails(runs, failing)
    if any(
        report.end is not SuiteEnd.COMPLETED or runs.touched & report.collection_errors.keys() for report in runs.before
    ):
        why = "the touched test files break as a whole at the parent, and hold no test that the parent did not have"
        return Invalid(InvalidReason.NO_FAIL_TO_PASS, why)
    if not in_touched:
        file = min(runs.touched)
        return Invalid(InvalidReason.NO_TESTS, f"no test is collected in the touched test files, e.g. {file}")
    return Invalid(InvalidReason.NO_FAIL_TO_PASS, "every touched test passes without the commit's production changes")


def _telling_skip(runs: StateRuns, in_touched: set[str]) -> Invalid | None:
    """The reason if it is that touched tests skip: for want of a module, or all new ones."""
    skips = skipped(runs.after[0], runs.touched)
    for test, why in skips:
        if _missing_module(why):
            return _skips(f"{test} skips: {why}", InvalidReason.SKIPPED_TESTS)
    new = [(test, why) for test, why in skips if test not in runs.parent.cases]
    if not new or in_touched & runs.after[0].passed - runs.parent.cases.keys():
        return None  # new tests ran and distinguished nothing: a skip is not the reason
    for test, why in new:
        if re.search(r"python|3\.\d+|version", why, re.I):
            return _skips(f"{test} skips: {why}", InvalidReason.NEEDS_NEWER_PYTHON)
        if re.search(r"windows|macos|darwin|platform|linux", why, re.I):
            return _skips(f"{test} skips: {why}", InvalidReason.NEEDS_OTHER_PLATFORM)
    return _skips(f"{new[0][0]} and {len(new) - 1} more new tests skip: {new[0][1]}", InvalidReason.SKIPPED_TESTS)


def _skips(detail: str, reason: InvalidReason) -> Invalid:
    _, _, why = detail.partition(" skips: ")
    return Invalid(reason, detail, cause_of(reason, detail, Fault(error="skipped", text=why or detail)))


def _gold_fails(runs: StateRuns, failing: list[str]) -> Invalid:
    """Touched tests fail on the commit: by which exception the first of them began, in which layer, and whether that
    has anything to do with the production changes."""
    case = runs.after[0].cases[failing[0]]
    fault = fault_of(case)
    layer = Layer.FIXTURE if case.status is CaseStatus.ERROR else Layer.TEST
    more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
    without = runs.before[0].cases
    alike = all(test in without and fault_of(without[test]) == fault_of(runs.after[0].cases[test]) for test in failing)
    where = "on the commit itself, and alike without its production changes" if alike else "on the commit itself"
    detail = f"{case.id}{more} fails {where}: {str(fault).removeprefix(': ') or 'no message'}"
    return Invalid(InvalidReason.GOLD_FAILS, detail, cause_of(InvalidReason.GOLD_FAILS, detail, fault, layer))


def skipped(report: SuiteReport, touched: frozenset[str]) -> list[tuple[str, str]]:
    """The touched tests that skip, each with its reason, by id."""
    cases = (c for c in report.cases.values() if c.status is CaseStatus.SKIPPED and file_of(c.id) in touched)
    return sorted((case.id, last_line(case.message)) for case in cases)


def _missing_module(why: str) -> bool:
    return not wants_absence(why) and bool(
        re.search(
            r"could not import|no module named|not installed|is required|requires? \w+ (package|library)",
            why,
            re.I,
        )
    )


def _why_not_passing(test: str, runs: StateRuns) -> Exclusion:
    if not any(test in report.cases for report in runs.after[:2]):
        seen = test in runs.parent.cases
        return TestCategory.GONE, (
            "no longer there at the commit" if seen else "seen only without the commit's production changes"
        )
    case = next(report.cases[test] for report in reversed(runs.after[:2]) if test in report.cases)
    category, fault = category_of(case), str(fault_of(case)).removeprefix(": ")
    if phrase := PHRASES.get(category):
        return category, f"{phrase}: {fault}" if fault else phrase
    said = f"{case.status.value} at the commit"
    return category, f"{said}: {fault}" if fault else said
