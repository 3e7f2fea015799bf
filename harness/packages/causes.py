"""Causes for which commits become no instances: layer, first error, and what would mend it."""

import re

from harness.packages.categories import REMEDIES, lacking
from models.causes import Cause, Layer
from models.manifest import InvalidReason
from models.suite import Fault, SuiteEnd, SuiteReport
from runtime.testing import PYTEST, file_of
from runtime.testing.output import exceptions_in, first_fault, last_line

IMPORTS = ("ImportError", "ModuleNotFoundError")
TEACHER = "let a teacher write tests (`cra supplement`)"
_LAYERS = {
    InvalidReason.NO_TESTS: Layer.COLLECTION,
    InvalidReason.NOT_PYTHON: Layer.COMMIT,
    InvalidReason.UNSUPPORTED_CHANGE: Layer.COMMIT,
    InvalidReason.IMPOSSIBLE_DATE: Layer.COMMIT,
    InvalidReason.INDISTINCT: Layer.COMMIT,
    InvalidReason.UNRESOLVABLE: Layer.RESOLUTION,
    InvalidReason.NO_WHEEL: Layer.DOWNLOAD,
    InvalidReason.BUILD_FAILED: Layer.BUILD,
    InvalidReason.COLLECTION_ERROR: Layer.COLLECTION,
    InvalidReason.SHADOWED: Layer.IMPORT,
    InvalidReason.NOT_TRIED: Layer.BUDGET,
}
"""The layer of a reason that has only one; of all others it is that of the tests."""
_REMEDIES = (
    (r"uv python install(?: [\d.]+)?", None),
    (r"no (?:usable )?wheel|has no wheel|no wheels", "only a build from source would give it"),
    (r"the first that can be run here", "allow a newer pytest in the repository's requirements"),
    (r"unrecognized arguments|required plugins?|Error importing plugin", "name the plugin among the test requirements"),
    (r"requires pytest-|minversion", "pin the pytest of that time in the repository's requirements"),
    (r"memory-limit", "raise limits.memory_bytes"),
    (r"process-limit", "raise limits.processes"),
    (r"disk-limit", "raise limits.disk_bytes"),
    (r"output-limit", "raise limits.output_bytes"),
    (r"did not end within", "raise limits.wall_seconds, or give --commit-minutes, so that a part of the suite is run"),
    (r"cannot be resolved", "no set of releases of that day fits: name a range of versions that exists"),
    (r"(?:fatal error: .*\.h|\.h): No such file", "install the headers on this machine"),
    (
        r"(?:gcc|cc|g\+\+|cl|rustc|cargo|cmake|ninja)\b.*(?:not found|No such file)",
        "install the compiler on this machine",
    ),
)


class Invalid(Exception):
    """A commit cannot become an instance, for a reason with its cause."""

    def __init__(self, reason: InvalidReason, detail: str, cause: Cause | None = None) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.cause = reason, detail, cause or cause_of(reason, detail)


def cause_of(reason: InvalidReason, detail: str, fault: Fault | None = None, layer: Layer | None = None) -> Cause:
    """The cause of a reason: what `fault` says, or as much as the detail shows."""
    shown = exceptions_in(
        "\n".join(f"E {part}" for part in re.split(r"(?<=\S): (?=[\w.]+(?:Error|Exception|Exit)\b)", detail))
    )
    fault = fault or (shown[0] if shown else Fault(error="", text=detail))
    category = lacking(fault)
    return Cause(
        layer=layer or _LAYERS.get(reason, Layer.TEST),
        error=fault.error,
        text=(f"{fault.text} (then {fault.then})" if fault.then else fault.text) or detail,
        remedy=_remedy(reason, f"{fault} {detail}") or (REMEDIES.get(category, "") if category else ""),
        category=category,
    )


def _remedy(reason: InvalidReason, text: str) -> str:
    for pattern, remedy in _REMEDIES:
        if found := re.search(pattern, text, re.IGNORECASE):
            return remedy or f"run `{found[0]}`"
    if reason in (InvalidReason.NO_FAIL_TO_PASS, InvalidReason.NO_TESTS):
        return TEACHER
    return ""


def ended(report: SuiteReport, what: str) -> Invalid | None:
    """Why a run says nothing of its tests: it did not end by itself; None if it did."""
    if report.end is SuiteEnd.TIMEOUT:
        detail = f"the suite of {what} did not end within {report.seconds:.0f} s"
        return Invalid(InvalidReason.TIMEOUT, detail)
    if report.end not in (SuiteEnd.CRASHED, SuiteEnd.USAGE, SuiteEnd.OUTPUT_LIMIT):
        return None
    layer, fault = PYTEST.run_fault(report)
    detail = f"the suite of {what}: {report.end.value}: {fault}"
    return Invalid(InvalidReason.CRASHED, detail, cause_of(InvalidReason.CRASHED, detail, fault, layer))


def not_collected(report: SuiteReport, what: str) -> Invalid | None:
    """Why test modules could not be collected: by the exception that most of them began with; None if all were."""
    if not report.collection_errors:
        return None
    by_fault: dict[tuple[str, str], list[str]] = {}
    faults = {file: collection_fault(report, file) for file in sorted(report.collection_errors)}
    for file, fault in faults.items():
        by_fault.setdefault((fault.error, fault.text), []).append(file)
    files = max(by_fault.values(), key=len)  # of equal ones the first
    fault = faults[files[0]]
    more = f" and {len(report.collection_errors) - 1} more files" if len(report.collection_errors) > 1 else ""
    detail = f"{file_of(files[0])}{more} at {what}: {fault}"
    layer = Layer.IMPORT if fault.error in IMPORTS else Layer.COLLECTION
    reason = InvalidReason.COLLECTION_ERROR
    return Invalid(reason, detail, cause_of(reason, detail, fault, layer))


def collection_fault(report: SuiteReport, file: str) -> Fault:
    """The exception with which the failure to collect a file began."""
    error = report.collection_errors[file]
    return report.faults.get(file) or first_fault(error) or Fault(error="", text=last_line(error))
