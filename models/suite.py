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


class CaseResult(Frozen):
    """One test: its pytest node id, outcome, seconds, and the head of its failure message or skip reason."""

    id: str
    status: CaseStatus
    seconds: float = 0.0
    message: str = ""


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
    """A test run. `collection_errors` maps a file to the head of its error. `output` is capped: head and tail."""

    end: SuiteEnd
    exit_code: int | None
    seconds: float
    cases: dict[str, CaseResult] = Field(default_factory=dict)
    collection_errors: dict[str, str] = Field(default_factory=dict)
    output: str = ""
    command: tuple[str, ...] = ()

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
