"""The results of a test run."""

from collections import Counter
from enum import StrEnum

from pydantic import Field

from models.plans import Frozen


class CaseStatus(StrEnum):
    """Outcome of one test. An error is a fault outside the test's own body (fixture, collection)."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"


class Fault(Frozen):
    """The exception with which a failure began: its type (a built-in one's bare name), the first line of its text.

    `module` is the module of the innermost frame, where the runner says it. `then` is the exception that reached the
    runner, as `type: text`, if it is another.
    """

    error: str
    text: str = ""
    module: str = ""
    then: str = ""

    def __str__(self) -> str:
        first = f"{self.error}: {self.text}" if self.text else self.error
        return f"{first} (then {self.then})" if self.then else first


class CaseResult(Frozen):
    """One test: its pytest node id, outcome, seconds, and the head of its failure message or skip reason.

    `fault` is the exception with which its failure began, where the runner reports it.
    """

    id: str
    status: CaseStatus
    seconds: float = 0.0
    message: str = ""
    fault: Fault | None = Field(default=None, exclude_if=lambda value: value is None)


class SuiteEnd(StrEnum):
    """How the process that ran the tests ended."""

    COMPLETED = "completed"  # the runner wrote its report; tests may have failed
    NO_TESTS = "no-tests"  # nothing was collected
    USAGE = "usage"  # the runner refused its arguments or its configuration
    TIMEOUT = "timeout"
    CRASHED = "crashed"  # the interpreter died: signal, os._exit, out of memory
    NOT_RUN = "not-run"  # never started: its tree did not build, or was refused
    OUTPUT_LIMIT = "output-limit"  # killed because it printed more than the limit


class SuiteReport(Frozen):
    """A test run. `collection_errors` maps a file to the head of its error, `faults` to the exception with which it
    began (under the empty name that of a run that did not come to its tests). `unfinished` are the tests whose call had
    begun when a run was cut short. `output` is capped: head and tail."""

    end: SuiteEnd
    exit_code: int | None
    seconds: float
    cases: dict[str, CaseResult] = Field(default_factory=dict)
    collection_errors: dict[str, str] = Field(default_factory=dict)
    output: str = ""
    command: tuple[str, ...] = ()
    faults: dict[str, Fault] = Field(default_factory=dict, exclude_if=lambda value: not value)
    unfinished: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)

    def ids(self, *statuses: CaseStatus) -> set[str]:
        """Node ids of the tests whose outcome is one of `statuses`."""
        return {case.id for case in self.cases.values() if case.status in statuses}

    @property
    def passed(self) -> set[str]:
        """Node ids of the tests that passed."""
        return self.ids(CaseStatus.PASSED)

    def counts(self) -> dict[str, int]:
        """How many tests had each outcome; outcomes that did not occur are omitted."""
        return dict(Counter(case.status.value for case in self.cases.values()))
