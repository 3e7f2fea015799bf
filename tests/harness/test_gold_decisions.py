"""What gold validation concludes from reports, without running anything."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.packages.gold_validation import GoldVerdict, StateRuns, decide
from models.manifest import InvalidReason
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport

PASS, FAIL, SKIP = CaseStatus.PASSED, CaseStatus.FAILED, CaseStatus.SKIPPED
NEW, OLD, ELSEWHERE = "tests/test_a.py::test_new", "tests/test_a.py::test_old", "tests/test_b.py::test_b"


def report(cases: Mapping[str, CaseStatus], message: str = "", **fields: object) -> SuiteReport:
    made = {test: CaseResult(id=test, status=status, message=message) for test, status in cases.items()}
    return SuiteReport(**{"end": SuiteEnd.COMPLETED, "exit_code": 0, "seconds": 1.0, "cases": made, **fields})


PARENT = report({OLD: PASS, ELSEWHERE: PASS})
BEFORE = report({OLD: PASS, NEW: FAIL})
AFTER = report({OLD: PASS, NEW: PASS, ELSEWHERE: PASS})


def verdict(
    parent: SuiteReport = PARENT, before: SuiteReport = BEFORE, after: tuple[SuiteReport, ...] = (AFTER, AFTER, AFTER)
) -> GoldVerdict:
    return decide(StateRuns(parent, (before, before), after, frozenset({"tests/test_a.py"})))


def test_a_new_test_that_needs_the_commit_is_fail_to_pass_and_the_others_stay() -> None:
    found = verdict()
    assert (found.reason, found.fail_to_pass, found.pass_to_pass) == (None, (NEW,), (OLD, ELSEWHERE))
    assert found.excluded == ()


def test_tests_that_pass_without_the_commit_make_it_invalid() -> None:
    assert verdict(before=report({OLD: PASS, NEW: PASS})).reason is InvalidReason.NO_FAIL_TO_PASS


@pytest.mark.parametrize("alike", [True, False])
def test_a_failure_at_the_commit_says_whether_it_is_there_without_the_commit_too(alike: bool) -> None:
    after = report({OLD: FAIL, ELSEWHERE: PASS}, "AssertionError: 1")
    before = report({OLD: FAIL}, "AssertionError: 1" if alike else "AssertionError: 2")
    found = verdict(before=before, after=(after, after, after))
    assert found.reason is InvalidReason.GOLD_FAILS
    assert ("without its production changes" in found.detail) == alike


def test_a_plugins_check_of_a_whole_file_is_no_test() -> None:
    whole = report({OLD: PASS, NEW: PASS, "docs/conf.py": PASS})
    found = verdict(report({OLD: PASS, "docs/conf.py": PASS}), after=(whole, whole, whole))
    assert (found.fail_to_pass, found.pass_to_pass) == ((NEW,), (OLD,))
    assert [test.id for test in found.excluded] == ["docs/conf.py"]


def test_touched_files_without_any_test_are_told_from_tests_that_pass() -> None:
    elsewhere = report({ELSEWHERE: PASS})
    found = verdict(elsewhere, elsewhere, (elsewhere, elsewhere, elsewhere))
    assert found.reason is InvalidReason.NO_TESTS
    assert "tests/test_a.py" in found.detail


def test_a_module_that_does_not_import_counts_only_its_new_tests() -> None:
    broken = report({}, collection_errors={"tests/test_a.py": "ImportError: no name new"})
    found = verdict(before=broken)
    assert (found.fail_to_pass, found.pass_to_pass) == ((NEW,), (OLD, ELSEWHERE))


def test_a_module_that_does_not_import_and_holds_nothing_new_decides_nothing() -> None:
    broken = report({}, collection_errors={"tests/test_a.py": "ImportError"})
    after = report({OLD: PASS, ELSEWHERE: PASS})
    found = verdict(before=broken, after=(after, after, after))
    assert found.reason is InvalidReason.NO_FAIL_TO_PASS
    assert "break as a whole" in found.detail


def test_a_run_that_was_cut_short_says_nothing_of_the_tests_it_did_not_reach() -> None:
    for end in SuiteEnd.CRASHED, SuiteEnd.TIMEOUT:
        found = verdict(before=report({OLD: PASS}, end=end))
        assert found.reason is InvalidReason.NO_FAIL_TO_PASS
        assert verdict(before=report({NEW: FAIL}, end=end)).fail_to_pass == (NEW,)


def test_a_conftest_that_does_not_import_counts_only_new_tests() -> None:
    assert verdict(before=report({}, end=SuiteEnd.USAGE)).fail_to_pass == (NEW,)


def test_a_test_that_wavers_is_excluded_and_alone_makes_the_commit_flaky() -> None:
    sometimes = report({OLD: PASS, NEW: FAIL, ELSEWHERE: PASS})
    found = verdict(after=(AFTER, sometimes, AFTER))
    assert found.reason is InvalidReason.FLAKY
    assert NEW in found.detail


def test_a_test_that_wavers_elsewhere_is_excluded_with_its_reason() -> None:
    sometimes = report({OLD: PASS, NEW: PASS, ELSEWHERE: FAIL})
    found = verdict(after=(AFTER, sometimes, AFTER))
    assert found.reason is None
    assert [(test.id, test.reason.split(":")[0]) for test in found.excluded] == [(ELSEWHERE, "flaky")]


def test_a_baseline_failure_is_excluded_not_counted() -> None:
    parent = report({OLD: PASS, ELSEWHERE: FAIL})
    after = report({OLD: PASS, NEW: PASS, ELSEWHERE: FAIL})
    found = verdict(parent=parent, after=(after, after, after))
    assert (found.fail_to_pass, found.pass_to_pass) == ((NEW,), (OLD,))
    assert [(test.id, test.reason) for test in found.excluded] == [(ELSEWHERE, "failed at the commit")]


def test_tests_that_vanish_from_untouched_files_are_the_environments_fault() -> None:
    many = {f"tests/test_b.py::test_{n}": PASS for n in range(90)}
    parent = report({OLD: PASS, **many})
    after = report({OLD: PASS, NEW: PASS})
    found = verdict(parent=parent, after=(after, after, after))
    assert found.reason is InvalidReason.COLLECTION_ERROR
    assert "90 of 90" in found.detail


def test_examples_in_documents_that_move_to_another_line_have_not_vanished() -> None:
    def examples(shift: int) -> dict[str, CaseStatus]:
        return {f"README.md::line:{10 * n + shift},column:1": PASS for n in range(20)}

    after = report({OLD: PASS, NEW: PASS, **examples(1)})
    found = verdict(parent=report({OLD: PASS, **examples(0)}), after=(after, after, after))
    assert (found.reason, found.fail_to_pass) == (None, (NEW,))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("could not import 'trio': No module named 'trio'", InvalidReason.SKIPPED_TESTS),
        ("requires Python 3.15", InvalidReason.NEEDS_NEWER_PYTHON),
        ("Windows only", InvalidReason.NEEDS_OTHER_PLATFORM),
        ("Generate the catalogues first", InvalidReason.SKIPPED_TESTS),
    ],
)
def test_new_tests_that_skip_give_the_reason_for_which_they_skip(message: str, reason: InvalidReason) -> None:
    after = report({OLD: PASS, NEW: SKIP, ELSEWHERE: PASS}, message)
    found = verdict(before=report({OLD: PASS, NEW: SKIP}), after=(after, after, after))
    assert found.reason is reason
    assert message in found.detail


def test_a_skip_is_not_the_reason_when_other_new_tests_ran_and_told_nothing_apart() -> None:
    skipping = "tests/test_a.py::test_windows"
    after = report({OLD: PASS, NEW: PASS, skipping: SKIP, ELSEWHERE: PASS}, "Windows only")
    found = verdict(before=report({OLD: PASS, NEW: PASS, skipping: SKIP}), after=(after, after, after))
    assert found.reason is InvalidReason.NO_FAIL_TO_PASS


def test_tests_that_skipped_before_as_well_explain_nothing() -> None:
    parent = report({OLD: PASS, NEW: SKIP, ELSEWHERE: PASS}, "Windows only")
    after = report({OLD: PASS, NEW: SKIP, ELSEWHERE: PASS}, "Windows only")
    found = verdict(parent=parent, before=report({OLD: PASS, NEW: SKIP}), after=(after, after, after))
    assert found.reason is InvalidReason.NO_FAIL_TO_PASS


def test_a_touched_test_that_skips_for_want_of_a_module_spoils_an_otherwise_valid_commit() -> None:
    skipping = CaseResult(id="tests/test_a.py::test_trio", status=SKIP, message="could not import 'trio'")
    after = AFTER.model_copy(update={"cases": {**AFTER.cases, skipping.id: skipping}})
    assert verdict(after=(after, after, after)).reason is InvalidReason.SKIPPED_TESTS


def test_doctests_are_excluded_because_their_ids_move() -> None:
    doctest = "src/pkg/core.py::pkg.core.f"
    after = report({OLD: PASS, NEW: PASS, ELSEWHERE: PASS, doctest: PASS})
    found = verdict(parent=report({OLD: PASS, ELSEWHERE: PASS, doctest: PASS}), after=(after, after, after))
    assert doctest not in found.pass_to_pass
    assert [(test.id, test.reason.split(":")[0]) for test in found.excluded] == [(doctest, "doctest")]


TESTS = [f"tests/test_{file}.py::test_{n}" for file in "ab" for n in range(3)]
REPORTS = st.dictionaries(st.sampled_from(TESTS), st.sampled_from(list(CaseStatus))).map(report)


@given(REPORTS, REPORTS, st.tuples(REPORTS, REPORTS, REPORTS))
def test_whatever_is_reported_the_verdict_can_be_relied_on(
    parent: SuiteReport, before: SuiteReport, after: tuple[SuiteReport, ...]
) -> None:
    found = verdict(parent, before, after)
    f2p, p2p, excluded = set(found.fail_to_pass), set(found.pass_to_pass), {test.id for test in found.excluded}
    assert bool(f2p) == (found.reason is None)
    assert not (f2p & p2p or f2p & excluded or p2p & excluded)
    for test in f2p:
        assert test.startswith("tests/test_a.py")
        assert test not in before.passed
        assert all(test in each.passed for each in after)
    for test in p2p:
        assert all(test in each.passed for each in after[:2])
        assert test in parent.passed or test in before.passed
