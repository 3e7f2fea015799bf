"""Tests that a step broke: those that fail after it and did not fail before it."""

from dataclasses import dataclass, field

from models.protocols import Recorder, Workspace
from models.suite import CaseStatus, SuiteEnd, SuiteReport

BASELINE = "baseline"
"""The purpose of a test run before a step."""
_SHOWN = 5
_BAD_ENDS = (SuiteEnd.USAGE, SuiteEnd.TIMEOUT, SuiteEnd.CRASHED, SuiteEnd.OUTPUT_LIMIT)


def step_purpose(part: str, step: str, attempt: int) -> str:
    """The purpose of the test run after an attempt at a step."""
    return f"{part}/{step} attempt {attempt}"


@dataclass
class Baseline:
    """Test results before the current step.

    Only tests of files not seen before are run for it: those of other files were run after the step that changed them,
    and a step affects no tests but those the workspace names.
    """

    workspace: Workspace
    recorder: Recorder
    _failing: dict[str, bool] = field(default_factory=dict)
    _latest: dict[str, bool] = field(default_factory=dict)
    _met: set[str] = field(default_factory=set)

    def run_before(self, changed: list[str]) -> None:
        """Run, before an edit, the tests of those changed files that were not seen before."""
        unmet = [path for path in changed if path not in self._met]
        if not unmet:
            return
        self._met.update(unmet)
        report = self.workspace.run_affected_tests(unmet)
        if report is not None:
            self.recorder.tests(BASELINE, report)
            known = self._failing | self._latest  # results of an earlier attempt of this step are no baseline
            self._failing |= {name: fails for name, fails in failing_by_id(report).items() if name not in known}

    def regressions(self, changed: list[str], purpose: str) -> str:
        """The tests of the changed files that an edit broke, as text for the coder; empty if none."""
        if not changed:
            return ""
        report = self.workspace.run_affected_tests(changed)
        if report is None:
            return ""
        self.recorder.tests(purpose, report)
        failing = failing_by_id(report)
        self._latest |= failing
        broken = [name for name, fails in failing.items() if fails and not self._failing.get(name, False)]
        return _described(broken, report)

    def settle(self) -> None:
        """End the step: tests that failed after its last attempt are not blamed on later steps."""
        self._failing |= self._latest
        self._latest = {}


def failing_by_id(report: SuiteReport) -> dict[str, bool]:
    """Whether each test fails; files that cannot be collected and runs that end badly count as tests as well."""
    bad = (CaseStatus.FAILED, CaseStatus.ERROR)
    failing = {case.id: case.status in bad for case in report.cases.values()}
    failing |= dict.fromkeys(report.collection_errors, True)
    return failing | {f"<{end.value}>": report.end is end for end in _BAD_ENDS}


def _described(broken: list[str], report: SuiteReport) -> str:
    lines = []
    for name in broken[:_SHOWN]:
        case = report.cases.get(name)
        message = case.message if case else report.collection_errors.get(name, "the test run ended this way")
        lines.append(f"{name}: {message}")
    if len(broken) > _SHOWN:
        lines.append(f"and {len(broken) - _SHOWN} more: {', '.join(broken[_SHOWN : 4 * _SHOWN])}")
    return "\n".join(lines)
