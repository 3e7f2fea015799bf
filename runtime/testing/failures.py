"""Kind of a test's failure, from the runner's report."""

import re

from models.generated import Failing
from models.suite import CaseStatus, SuiteEnd, SuiteReport

_ASSERTION = re.compile(r"\s*(?:[\w.]*AssertionError\b|assert\b|Failed:|[\w.]*Failed: )")
_IMPORT = re.compile(r"\s*(?:ImportError|ModuleNotFoundError)\b")


def how_it_fails(test: str, report: SuiteReport) -> Failing | None:
    """How a test failed in a run; None if it did not fail there (it passed, skipped, or was not there)."""
    if (case := report.cases.get(test)) is not None:
        if case.status is CaseStatus.ERROR:
            return Failing.EXCEPTION
        if case.status is not CaseStatus.FAILED:
            return None
        if _ASSERTION.match(case.message):
            return Failing.ASSERTION
        return Failing.IMPORT if _IMPORT.match(case.message) else Failing.EXCEPTION
    if test.partition("::")[0] in report.collection_errors or report.end is SuiteEnd.USAGE:
        return Failing.COLLECTION
    return Failing.RUN if report.end not in (SuiteEnd.COMPLETED, SuiteEnd.NO_TESTS) else None


def how_first(failing: dict[str, Failing]) -> tuple[str, Failing] | None:
    """The test whose failure is the strongest evidence, the first of several by name; None if none failed."""
    order = list(Failing)
    return min(failing.items(), key=lambda item: (order.index(item[1]), item[0])) if failing else None
