"""Outcomes: how an attempt ended and, by its shape, which party was at fault.

Shape alone does not distinguish a bad plan from a bad coder when tests fail; such outcomes are `undetermined` here and
are attributed by experiment. A fault of ours, of the machine or of the environment never counts against a model and
never becomes training signal.
"""

from collections.abc import Iterator
from enum import StrEnum

from models.confirmation import Confirmation
from models.manifest import Instance
from models.plans import Frozen
from models.suite import CaseStatus, SuiteEnd, SuiteReport

_SCRIPT = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts")


class OracleKind(StrEnum):
    """Which oracle judged a patch, from the strongest to the weakest."""

    F2P_P2P = "f2p-p2p"  # the commit's own tests
    GENERATED_TESTS = "generated-tests"  # pass on the gold patch, fail on its parent
    STRUCTURAL = "structural"  # compared with the gold diff, without a run


class Blame(StrEnum):
    """The party at fault for an outcome, as far as its shape shows."""

    NONE = "none"
    PLAN = "plan"
    CODE = "code"
    UNDETERMINED = "undetermined"  # plan, code or retrieval: only an experiment can decide
    INFRASTRUCTURE = "infrastructure"
    ENVIRONMENT = "environment"


class OutcomeKind(StrEnum):
    """How an attempt ended."""

    PASSED = "passed"
    PASSED_UNCONFIRMED = (
        "passed-unconfirmed"  # the tests pass, and varied ones show another answer than the gold patch's
    )
    # of a solve, which no hidden test judges: the whole plan was carried out
    NO_REGRESSION = "no-regression"  # no test of the repository's own suite broke
    UNTESTED = "untested"  # no test was run
    # the model's
    PLAN_MALFORMED = "plan-malformed"
    PLANNER_STOPPED = "planner-stopped"
    LIMITS_REACHED = "limits-reached"  # more parts, steps or adjustments than are allowed
    EMPTY_PATCH = "empty-patch"
    EDIT_REJECTED = "edit-rejected"
    TESTS_FAILED = "tests-failed"  # a fail-to-pass test does not pass
    REGRESSION = "regression"  # all fail-to-pass tests pass, a pass-to-pass test broke
    TESTS_TIMEOUT = "tests-timeout"
    TESTS_CRASHED = "tests-crashed"
    BUILD_FAILED = "build-failed"  # the repository built at the commit and does not with the patch
    TAMPERED = "tampered"  # the patch replaces or manipulates the test runner: the run is void
    UNREADABLE = "unreadable"  # our parser fails on the patched files, and not on the commit's
    PROMPT_TOO_LONG = "prompt-too-long"  # the prompt built from retrieval and plan exceeds the model's window
    # ours or the machine's
    PROVIDER_ERROR = "provider-error"
    CAP_REACHED = "cap-reached"  # the run's cap on tokens or cost; waits for a run with a higher cap
    HARNESS_ERROR = "harness-error"
    SANDBOX_ERROR = "sandbox-error"
    DISK_FULL = "disk-full"
    TIME_LIMIT = "time-limit"  # a time limit of ours, not of the tests
    # the environment's
    ENVIRONMENT_BROKEN = "environment-broken"
    FLAKY = "flaky"  # the deciding tests differ between runs

    @property
    def passed(self) -> bool:
        """Whether the hidden tests passed, and nothing contradicts it."""
        return self is OutcomeKind.PASSED

    @property
    def succeeded(self) -> bool:
        """Whether it passed or, of a solve, went through its whole plan and broke no test."""
        return self in _SUCCESSES

    @property
    def failed(self) -> bool:
        """Whether the task was certainly not solved."""
        return self.final and not self.succeeded and self is not OutcomeKind.PASSED_UNCONFIRMED

    @property
    def blame(self) -> Blame:
        """The party at fault, by shape."""
        return _BLAME[self]

    @property
    def final(self) -> bool:
        """Whether it closes the trajectory. Infrastructure and environment faults are retried."""
        return self.blame not in (Blame.INFRASTRUCTURE, Blame.ENVIRONMENT)

    @property
    def trains(self) -> bool:
        """Whether it may become training signal: it must be certain and about a model."""
        return self.final and self not in (OutcomeKind.PASSED_UNCONFIRMED, OutcomeKind.UNREADABLE)


_SUCCESSES = frozenset({OutcomeKind.PASSED, OutcomeKind.NO_REGRESSION, OutcomeKind.UNTESTED})

_BLAME = {
    OutcomeKind.PASSED: Blame.NONE,
    OutcomeKind.NO_REGRESSION: Blame.NONE,
    OutcomeKind.UNTESTED: Blame.NONE,
    OutcomeKind.PASSED_UNCONFIRMED: Blame.NONE,  # neither a success nor a failure that could be learned from
    OutcomeKind.PLAN_MALFORMED: Blame.PLAN,
    OutcomeKind.PLANNER_STOPPED: Blame.PLAN,
    OutcomeKind.LIMITS_REACHED: Blame.PLAN,
    OutcomeKind.EMPTY_PATCH: Blame.UNDETERMINED,
    OutcomeKind.EDIT_REJECTED: Blame.CODE,
    OutcomeKind.TESTS_FAILED: Blame.UNDETERMINED,
    OutcomeKind.REGRESSION: Blame.UNDETERMINED,
    OutcomeKind.TESTS_TIMEOUT: Blame.CODE,
    OutcomeKind.TESTS_CRASHED: Blame.CODE,
    OutcomeKind.BUILD_FAILED: Blame.CODE,
    OutcomeKind.TAMPERED: Blame.CODE,
    OutcomeKind.UNREADABLE: Blame.CODE,
    # Retrieval chose too much, the plan made a step too large, or the model's window is too small for any plan.
    OutcomeKind.PROMPT_TOO_LONG: Blame.UNDETERMINED,
    OutcomeKind.PROVIDER_ERROR: Blame.INFRASTRUCTURE,
    OutcomeKind.CAP_REACHED: Blame.INFRASTRUCTURE,
    OutcomeKind.HARNESS_ERROR: Blame.INFRASTRUCTURE,
    OutcomeKind.SANDBOX_ERROR: Blame.INFRASTRUCTURE,
    OutcomeKind.DISK_FULL: Blame.INFRASTRUCTURE,
    OutcomeKind.TIME_LIMIT: Blame.INFRASTRUCTURE,
    OutcomeKind.ENVIRONMENT_BROKEN: Blame.ENVIRONMENT,
    OutcomeKind.FLAKY: Blame.ENVIRONMENT,
}

_ENDED_EARLY = {
    SuiteEnd.TIMEOUT: (OutcomeKind.TESTS_TIMEOUT, "the tests were killed at their time limit"),
    SuiteEnd.CRASHED: (OutcomeKind.TESTS_CRASHED, "the interpreter that ran the tests died"),
    SuiteEnd.OUTPUT_LIMIT: (OutcomeKind.TESTS_CRASHED, "the tests were killed for printing too much"),
    SuiteEnd.NOT_RUN: (OutcomeKind.TESTS_CRASHED, "the tests were never started"),
    # The same arguments worked on the gold patch, so it is the patch that broke a conftest or a setting.
    SuiteEnd.USAGE: (OutcomeKind.TESTS_CRASHED, "the test runner refused its configuration or a conftest"),
}


class Validation(Frozen):
    """The verdict on one patch.

    `key` identifies instance, patch, environment and oracle; tests are sorted node ids. `p2p_failed` are tests that the
    run reached and that did not pass, `p2p_not_run` those that it did not reach: nothing is known of them. Where no
    test was run, no FAIL_TO_PASS test is named. `confirmation` is set for a patch that passed its tests.
    """

    key: str
    oracle: OracleKind
    kind: OutcomeKind
    f2p_passed: tuple[str, ...] = ()
    f2p_failed: tuple[str, ...] = ()
    p2p_failed: tuple[str, ...] = ()
    p2p_not_run: tuple[str, ...] = ()
    seconds: float = 0.0
    detail: str = ""
    confirmation: Confirmation | None = None


def oracle_of(instance: Instance) -> OracleKind:
    """The oracle that judges an instance's patches."""
    return OracleKind.GENERATED_TESTS if instance.generated else OracleKind.F2P_P2P


def judge(instance: Instance, report: SuiteReport, key: str) -> Validation:
    """The verdict of a run of the hidden tests on a patch.

    A test counts as passed only if it ran and passed: one that is missing (not collected, renamed, its module
    no longer imports), skipped or expected to fail counts as failed, unless it is a pass-to-pass test that the run
    never came to (`_not_reached`). A run that did not end by itself is the patch's fault, since the same command ended
    by itself on the gold patch. Raises ValueError for an instance without fail-to-pass tests, which cannot judge a
    patch.
    """
    if not instance.fail_to_pass:
        raise ValueError(f"{instance.instance_id} has no fail-to-pass tests; it cannot judge a patch")
    passed = report.passed
    f2p_failed = sorted(set(instance.fail_to_pass) - passed)
    p2p_not_run = _not_reached(instance, report, bool(f2p_failed))
    p2p_failed = sorted(set(instance.pass_to_pass) - passed - p2p_not_run)
    if report.end in _ENDED_EARLY:
        kind, detail = _ENDED_EARLY[report.end]
    elif f2p_failed:
        kind = OutcomeKind.TESTS_FAILED
        detail = _failures("fail-to-pass", f2p_failed, len(set(instance.fail_to_pass)), report)
    elif p2p_failed:
        kind = OutcomeKind.REGRESSION
        detail = _failures("pass-to-pass", p2p_failed, len(set(instance.pass_to_pass)), report)
    else:
        kind, detail = OutcomeKind.PASSED, ""
    return Validation(
        key=key,
        oracle=oracle_of(instance),
        kind=kind,
        f2p_passed=tuple(sorted(set(instance.fail_to_pass) & passed)),
        f2p_failed=tuple(f2p_failed),
        p2p_failed=tuple(p2p_failed),
        p2p_not_run=tuple(sorted(p2p_not_run)),
        seconds=report.seconds,
        detail=detail,
    )


def first_files(instance: Instance) -> tuple[str, ...]:
    """The files whose tests are run first, and alone if a fail-to-pass test does not pass: those that the commit or
    generated tests touch."""
    generated = sorted(file.path for file in instance.generated.files) if instance.generated else ()
    script = any(_file(test).endswith(_SCRIPT) for test in instance.fail_to_pass)
    return tuple(path for path in (*instance.test_files, *generated) if path.endswith(_SCRIPT if script else ".py"))


def _not_reached(instance: Instance, report: SuiteReport, stopped: bool) -> set[str]:
    """Pass-to-pass tests that a run did not come to. `stopped`: whether a fail-to-pass test did not pass.

    The whole suite is collected before the first test runs, so a module that cannot be collected, or that skips itself,
    is no test that was not reached. A run that was killed reached the tests that it reported. One that ended by itself
    reached the first files, and all others too unless it stopped after the first ones.
    """
    seen = {*report.cases, *report.collection_errors}
    missing = {test for test in instance.pass_to_pass if test not in seen and _file(test) not in seen}
    if report.end in _ENDED_EARLY:
        return missing
    first = set(first_files(instance))
    if report.end is not SuiteEnd.COMPLETED or not stopped or any(_file(test) not in first for test in _ran(report)):
        return set()
    return {test for test in missing if _file(test) not in first}


def _ran(report: SuiteReport) -> Iterator[str]:
    """The tests that a report holds, without modules that skipped themselves before any test ran."""
    return (test for test in report.cases if "::" in test)


def _file(test: str) -> str:
    return test.partition("::")[0]


def _failures(what: str, failed: list[str], total: int, report: SuiteReport) -> str:
    case = report.cases.get(failed[0])
    collection = report.collection_errors.get(_file(failed[0]))
    if case is not None and case.status is not CaseStatus.PASSED:
        how = f"{case.status.value}: {case.message}" if case.message else case.status.value
    else:
        how = f"not collected: {collection}" if collection else "did not run"
    return f"{len(failed)} of {total} {what} tests do not pass; {failed[0]} {how.strip()}"
