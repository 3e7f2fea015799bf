"""The verdict that a test run gives, and whose fault each outcome is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.generated import Failing, GeneratedFile, GeneratedTests
from models.manifest import Instance
from models.outcomes import Blame, OutcomeKind, first_files, judge
from models.suite import CaseResult, CaseStatus, SuiteEnd, SuiteReport

F2P = ("tests/test_a.py::test_new", "tests/test_a.py::test_other")
P2P = ("tests/test_a.py::test_old", "tests/test_b.py::test_old")
INSTANCE = Instance(
    instance_id="lib__lib-1",
    commit="c" * 40,
    base_commit="b" * 40,
    task="Add it",
    planning_types=(),
    production_files=("lib.py",),
    test_files=("tests/test_a.py",),
    fail_to_pass=F2P,
    pass_to_pass=P2P,
)


def report(end: SuiteEnd = SuiteEnd.COMPLETED, **changed: CaseStatus | None) -> SuiteReport:
    statuses: dict[str, CaseStatus | None] = dict.fromkeys((*F2P, *P2P), CaseStatus.PASSED)
    statuses.update({next(id for id in statuses if id.endswith(name)): status for name, status in changed.items()})
    cases = {id: CaseResult(id=id, status=status, message="assert 1 == 2") for id, status in statuses.items() if status}
    return SuiteReport(end=end, exit_code=0, seconds=1.5, cases=cases)


def test_all_tests_passing_is_a_pass() -> None:
    verdict = judge(INSTANCE, report(), "key")
    assert verdict.kind is OutcomeKind.PASSED
    assert verdict.f2p_passed == F2P
    assert (verdict.f2p_failed, verdict.p2p_failed, verdict.key, verdict.seconds) == ((), (), "key", 1.5)
    assert verdict.p2p_not_run == ()


@pytest.mark.parametrize("status", [CaseStatus.FAILED, CaseStatus.ERROR, CaseStatus.SKIPPED, CaseStatus.XFAILED, None])
def test_a_fail_to_pass_test_that_does_not_run_and_pass_fails_the_patch(status: CaseStatus | None) -> None:
    verdict = judge(INSTANCE, report(test_new=status), "key")
    assert verdict.kind is OutcomeKind.TESTS_FAILED
    assert verdict.f2p_failed == (F2P[0],)
    assert "1 of 2 fail-to-pass tests do not pass; tests/test_a.py::test_new" in verdict.detail


@pytest.mark.parametrize("status", [CaseStatus.FAILED, CaseStatus.SKIPPED, None])
def test_a_broken_pass_to_pass_test_is_a_regression(status: CaseStatus | None) -> None:
    tests = dict.fromkeys((*F2P, *P2P), CaseStatus.PASSED) | {P2P[1]: status}
    cases = {id: CaseResult(id=id, status=status) for id, status in tests.items() if status}
    verdict = judge(INSTANCE, SuiteReport(end=SuiteEnd.COMPLETED, exit_code=1, seconds=1, cases=cases), "key")
    assert verdict.kind is OutcomeKind.REGRESSION
    assert (verdict.p2p_failed, verdict.p2p_not_run) == ((P2P[1],), ())


OLD, FAR = P2P
"""A pass-to-pass test of a file that the commit touches, and one of another file."""


@pytest.mark.parametrize(
    ("cases", "uncollected", "failed", "not_run"),
    [
        ({F2P[0]: CaseStatus.FAILED, OLD: CaseStatus.PASSED}, (), (), (FAR,)),  # stopped after the touched files
        ({F2P[0]: CaseStatus.FAILED, OLD: CaseStatus.FAILED}, (), (OLD,), (FAR,)),
        ({F2P[0]: CaseStatus.FAILED}, (), (OLD,), (FAR,)),  # renamed away from a file that was run
        ({}, ("tests/test_a.py",), (OLD,), (FAR,)),
        ({}, ("tests/test_a.py", "tests/test_b.py"), (OLD, FAR), ()),  # collection comes before all tests
        ({"tests/test_b.py": CaseStatus.SKIPPED, OLD: CaseStatus.PASSED}, (), (FAR,), ()),  # skips itself
        ({F2P[0]: CaseStatus.FAILED, "tests/test_c.py::test_x": CaseStatus.PASSED}, (), (OLD, FAR), ()),  # it went on
    ],
)
def test_a_pass_to_pass_test_that_a_stopped_run_never_came_to_has_not_failed(
    cases: dict[str, CaseStatus], uncollected: tuple[str, ...], failed: tuple[str, ...], not_run: tuple[str, ...]
) -> None:
    suite = SuiteReport(
        end=SuiteEnd.COMPLETED,
        exit_code=1,
        seconds=1,
        cases={id: CaseResult(id=id, status=status) for id, status in cases.items()},
        collection_errors=dict.fromkeys(uncollected, "ImportError: no x"),
    )
    verdict = judge(INSTANCE, suite, "key")
    assert verdict.kind is OutcomeKind.TESTS_FAILED
    assert (verdict.p2p_failed, verdict.p2p_not_run) == (failed, not_run)


@pytest.mark.parametrize("end", [SuiteEnd.TIMEOUT, SuiteEnd.CRASHED, SuiteEnd.OUTPUT_LIMIT, SuiteEnd.USAGE])
def test_a_run_that_was_killed_reached_what_it_reported(end: SuiteEnd) -> None:
    verdict = judge(INSTANCE, report(end, test_old=CaseStatus.FAILED), "key")
    assert (verdict.p2p_failed, verdict.p2p_not_run) == ((OLD,), ())
    cut = {F2P[0]: CaseResult(id=F2P[0], status=CaseStatus.PASSED)}
    verdict = judge(INSTANCE, SuiteReport(end=end, exit_code=None, seconds=1, cases=cut), "key")
    assert (verdict.p2p_failed, verdict.p2p_not_run) == ((), P2P)


def test_files_of_generated_tests_are_run_first_too() -> None:
    generated = GeneratedTests(
        files=(GeneratedFile(path="tests/test_b.py", sha256="0" * 64),),
        told_apart={F2P[0]: Failing.ASSERTION},
        instead_of="no-f2p",
        model="m",
        prompt_hash="0" * 64,
        answer_hash="0" * 64,
        round=1,
    )
    instance = INSTANCE.model_copy(update={"generated": generated, "test_files": ("tests/test_a.py", "tests/data.txt")})
    assert first_files(instance) == ("tests/test_a.py", "tests/test_b.py")
    stopped = SuiteReport(
        end=SuiteEnd.COMPLETED,
        exit_code=1,
        seconds=1,
        cases={F2P[0]: CaseResult(id=F2P[0], status=CaseStatus.FAILED)},
    )
    assert judge(instance, stopped, "key").p2p_failed == P2P


def test_a_collection_error_is_told_in_the_detail() -> None:
    suite = SuiteReport(
        end=SuiteEnd.COMPLETED,
        exit_code=2,
        seconds=1,
        collection_errors={"tests/test_a.py": "ImportError: no x"},
    )
    verdict = judge(INSTANCE, suite, "key")
    assert verdict.kind is OutcomeKind.TESTS_FAILED
    assert "not collected: ImportError: no x" in verdict.detail


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (SuiteEnd.TIMEOUT, OutcomeKind.TESTS_TIMEOUT),
        (SuiteEnd.CRASHED, OutcomeKind.TESTS_CRASHED),
        (SuiteEnd.OUTPUT_LIMIT, OutcomeKind.TESTS_CRASHED),
        (SuiteEnd.USAGE, OutcomeKind.TESTS_CRASHED),
    ],
)
def test_a_run_that_did_not_end_by_itself_never_passes(end: SuiteEnd, kind: OutcomeKind) -> None:
    assert judge(INSTANCE, report(end), "key").kind is kind


def test_a_run_that_collected_nothing_fails_every_test() -> None:
    verdict = judge(INSTANCE, SuiteReport(end=SuiteEnd.NO_TESTS, exit_code=5, seconds=1), "key")
    assert verdict.kind is OutcomeKind.TESTS_FAILED
    assert (verdict.f2p_failed, verdict.p2p_failed, verdict.p2p_not_run) == (F2P, P2P, ())


def test_an_instance_without_fail_to_pass_tests_judges_nothing() -> None:
    with pytest.raises(ValueError, match="has no fail-to-pass tests"):
        judge(INSTANCE.model_copy(update={"fail_to_pass": ()}), report(), "key")


@given(st.dictionaries(st.sampled_from([*F2P, *P2P]), st.sampled_from(CaseStatus)), st.sampled_from(SuiteEnd))
def test_passing_means_that_each_named_test_passed_in_a_run_that_ended_by_itself(
    statuses: dict[str, CaseStatus], end: SuiteEnd
) -> None:
    cases = {id: CaseResult(id=id, status=status) for id, status in statuses.items()}
    verdict = judge(INSTANCE, SuiteReport(end=end, exit_code=0, seconds=0, cases=cases), "key")
    all_passed = all(statuses.get(id) is CaseStatus.PASSED for id in (*F2P, *P2P))
    killed = end not in (SuiteEnd.COMPLETED, SuiteEnd.NO_TESTS)
    assert verdict.kind.passed == (all_passed and not killed)
    assert sorted((*verdict.f2p_passed, *verdict.f2p_failed)) == sorted(F2P)
    p2p_passed = {test for test in P2P if statuses.get(test) is CaseStatus.PASSED}
    assert sorted((*p2p_passed, *verdict.p2p_failed, *verdict.p2p_not_run)) == sorted(P2P)
    assert not verdict.p2p_not_run or not verdict.kind.passed


def test_only_faults_of_ours_and_of_the_environment_are_tried_again_and_they_never_train() -> None:
    ours = {Blame.INFRASTRUCTURE, Blame.ENVIRONMENT}
    assert {kind for kind in OutcomeKind if not kind.final} == {kind for kind in OutcomeKind if kind.blame in ours}
    assert {kind for kind in OutcomeKind if not kind.trains} == {
        OutcomeKind.PROVIDER_ERROR,
        OutcomeKind.CAP_REACHED,
        OutcomeKind.HARNESS_ERROR,
        OutcomeKind.SANDBOX_ERROR,
        OutcomeKind.DISK_FULL,
        OutcomeKind.TIME_LIMIT,
        OutcomeKind.ENVIRONMENT_BROKEN,
        OutcomeKind.FLAKY,
        OutcomeKind.PASSED_UNCONFIRMED,
        OutcomeKind.UNREADABLE,
    }
    assert not OutcomeKind.PASSED_UNCONFIRMED.failed
    assert [kind for kind in OutcomeKind if kind.passed] == [OutcomeKind.PASSED]
