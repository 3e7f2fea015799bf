"""Kind of a test's failure, from the runner's report."""

from models.generated import Failing
from models.suite import CaseStatus, SuiteEnd, SuiteReport
from runtime.testing.base import file_of
from runtime.testing.registry import PYTEST
from runtime.testing.runner import TestRunner


def how_it_fails(test: str, report: SuiteReport, runner: TestRunner = PYTEST) -> Failing | None:
    """How a test failed in a run; None if it did not fail there (it passed, skipped, or was not there)."""
    if (case := report.cases.get(test)) is not None:
        if case.status is CaseStatus.ERROR:
            return Failing.EXCEPTION
        if case.status is not CaseStatus.FAILED:
            return None
        if runner.is_assertion(case):
            return Failing.ASSERTION
        return Failing.IMPORT if runner.is_import_error(case) else Failing.EXCEPTION
    if file_of(test) in report.collection_errors or report.end is SuiteEnd.USAGE:
        return Failing.COLLECTION
    return Failing.RUN if report.end not in (SuiteEnd.COMPLETED, SuiteEnd.NO_TESTS) else None


def how_first(failing: dict[str, Failing]) -> tuple[str, Failing] | None:
    """The test whose failure is the strongest evidence, the first of several by name; None if none failed."""
    order = list(Failing)
    return min(failing.items(), key=lambda item: (order.index(item[1]), item[0])) if failing else None
