"""Records of a test run: the lines of its channel, and its report."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from host.regular import read_regular
from models.limits import MIB
from models.suite import CaseResult, CaseStatus, Fault
from runtime.testing.base import file_of
from runtime.testing.channel import Received
from runtime.testing.pytest_runner.junit import BadReport, parse, worst

_MOST = 64 * MIB  # most bytes of a report; 100,000 tests take about half of it


@dataclass(frozen=True)
class Records:
    """`cases` come from the JUnit report if it is `sealed`, else from the lines sent during the run.

    `exit_code` is the one with which pytest meant to end; `whole` means that it ran every test, or all up to a
    requested stop. `not_collected` maps files to the head of the error, `faults` to the exception with which it began;
    under the empty name it is that of a run that did not come to its tests. `unknown` are the repository's options that
    the runner did not know, and `removed` those that would break isolation or determinism, by reason. `unfinished` are
    tests whose call had begun, and not ended.
    """

    sealed: bool
    exit_code: int | None
    whole: bool
    cases: dict[str, CaseResult] = field(default_factory=dict)
    not_collected: dict[str, str] = field(default_factory=dict)
    note: str = ""
    unknown: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    faults: dict[str, Fault] = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()


def read_records(results: Path, received: Received) -> Records:
    """Read the report in `results`, and the lines received from our plugin.

    A test counts with the worse of the line sent during the run and its entry in the report; one without a line does
    not count. A run with lines of another sender on its channel is not sealed.
    """
    cases, not_collected, faults, unfinished = _progress(received.lines)
    seal = _seal(received)
    report = read_left(results / "report.xml") if seal else None
    note = "something else than the runner wrote to the runner's channel" if received.forged else ""
    if seal and report is not None and hashlib.sha256(report).hexdigest() == seal.report:
        try:
            reported = [case for case in parse(report).values() if case.id in cases]
            both = _with_faults(worst([*reported, *cases.values()]), faults)
            left = _of_files(faults, not_collected)
            return Records(True, seal.exit, seal.whole, both, not_collected, "", *_options(received.lines), faults=left)
        except BadReport as error:
            note = str(error)
    faulty, left = _with_faults(cases, faults), _of_files(faults, not_collected)
    options = _options(received.lines)
    return Records(False, None, False, faulty, not_collected, note, *options, faults=left, unfinished=unfinished)


def _with_faults(cases: dict[str, CaseResult], faults: dict[str, Fault]) -> dict[str, CaseResult]:
    failed = (CaseStatus.FAILED, CaseStatus.ERROR)
    return {
        test: case.model_copy(update={"fault": faults[test]}) if test in faults and case.status in failed else case
        for test, case in cases.items()
    }


def _of_files(faults: dict[str, Fault], not_collected: dict[str, str]) -> dict[str, Fault]:
    return {file: fault for file, fault in faults.items() if file in not_collected or not file}


def _options(lines: Sequence[list[Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Options that were unknown, and those that were removed, together by reason."""
    unknown: list[str] = []
    removed: dict[str, list[str]] = {}
    for fields in lines:
        match fields:
            case ["unknown", str(option)]:
                unknown.append(option)
            case ["removed", str(option), str(reason)]:
                removed.setdefault(reason, []).append(option)
    return tuple(unknown), tuple(f"{', '.join(options)} ({reason})" for reason, options in removed.items())


class _Seal(NamedTuple):
    exit: int
    whole: bool
    report: str


def _seal(received: Received) -> _Seal | None:
    if received.forged or not received.lines:
        return None
    match received.lines[-1]:
        case ["seal", int(exit_code), bool(whole), str(report)]:
            return _Seal(exit_code, whole, report)
    return None


def read_left(path: Path) -> bytes | None:
    """A regular file of bounded size, or None: never through a link, never blocking on a pipe."""
    return read_regular(path, _MOST)


def _progress(
    lines: Sequence[list[Any]],
) -> tuple[dict[str, CaseResult], dict[str, str], dict[str, Fault], tuple[str, ...]]:
    """Finished tests with their outcome, files that could not be collected, how the failures of both began, and tests
    whose call has begun and not ended."""
    running: dict[str, list[tuple[CaseStatus, float, str]]] = {}
    finished: list[CaseResult] = []
    not_collected: dict[str, str] = {}
    faults: dict[str, Fault] = {}
    for fields in lines:
        match fields:
            case ["collect", str(node), "failed", str(message), *rest]:
                not_collected[file_of(node)] = message
                _note(faults, file_of(node), rest)
            case ["run", *rest]:
                _note(faults, "", rest)
            case ["begun", str(node)]:
                running.setdefault(node, [])
            case ["collect", str(node), "skipped", str(message), *_]:
                finished.append(CaseResult(id=node, status=CaseStatus.SKIPPED, message=message))
            case ["test", str(node), str(when), str(outcome), float(seconds), str(message), *rest] if math.isfinite(
                seconds
            ):
                phases = running.setdefault(node, [])
                phases.append((_phase_status(when, outcome), seconds, message))
                _note(faults, node, rest)
                if when == "teardown":
                    finished.extend(CaseResult(id=node, status=s, seconds=t, message=m) for s, t, m in phases)
                    del running[node]
    return worst(finished), not_collected, faults, tuple(test for test, phases in running.items() if not phases)


def _note(faults: dict[str, Fault], of: str, rest: Sequence[Any]) -> None:
    match rest:
        case [[str(error), str(text), str(module), str(then)]]:
            faults.setdefault(of, Fault(error=error, text=text, module=module, then=then))


def _phase_status(when: str, outcome: str) -> CaseStatus:
    if outcome == "failed":
        return CaseStatus.FAILED if when == "call" else CaseStatus.ERROR
    return {"skipped": CaseStatus.SKIPPED, "xfailed": CaseStatus.XFAILED}.get(outcome, CaseStatus.PASSED)
