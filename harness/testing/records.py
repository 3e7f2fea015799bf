"""What a test run left in its results directory, read without following or waiting for anything."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.testing.junit import BadReport, parse, worst
from models.limits import MIB
from models.suite import CaseResult, CaseStatus

_MOST = 64 * MIB  # bytes of a report; 100,000 tests take about half of it


@dataclass(frozen=True)
class Records:
    """`cases` come from the JUnit report if it is `sealed`, else from what was noted as the tests ran.

    `exit_code` is the one that pytest meant to end with; `whole` says that it ran every test, or all up to a
    stop that was asked for. `not_collected` maps files to the head of the error.
    """

    sealed: bool
    exit_code: int | None
    whole: bool
    cases: dict[str, CaseResult] = field(default_factory=dict)
    not_collected: dict[str, str] = field(default_factory=dict)
    note: str = ""


def read_records(results: Path, nonce: str) -> Records:
    """Read what a run left; `nonce` is what its seal has to repeat."""
    cases, not_collected = _progress(results)
    seal = _seal(results, nonce)
    report = read_left(results / "report.xml")
    note = ""
    if seal and report is not None and hashlib.sha256(report).hexdigest() == seal["report"]:
        try:
            reported = worst([*parse(report).values(), *(case for case in cases.values() if _whole_module(case))])
            return Records(True, seal["exit"], bool(seal["whole"]), reported, not_collected)
        except BadReport as error:
            note = str(error)
    return Records(False, None, False, cases, not_collected, note)


def _whole_module(case: CaseResult) -> bool:
    return "::" not in case.id and case.status is CaseStatus.SKIPPED


def _seal(results: Path, nonce: str) -> dict[str, Any] | None:
    content = read_left(results / "seal.json")
    try:
        seal = json.loads(content or b"null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(seal, dict) or seal.keys() != {"nonce", "exit", "whole", "report"}:
        return None
    return seal if seal["nonce"] == nonce and isinstance(seal["exit"], int) else None


def read_left(path: Path) -> bytes | None:
    """A regular file of bearable size, or None: never through a link, never waiting at a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST:
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_MOST)


def _lines(results: Path) -> Iterator[list[Any]]:
    for line in (read_left(results / "progress.jsonl") or b"").splitlines():
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the last line of a run that was killed, or one that the run forged
        if isinstance(fields, list) and fields:
            yield fields


def _progress(results: Path) -> tuple[dict[str, CaseResult], dict[str, str]]:
    """Finished tests with their outcome, and files that could not be collected."""
    running: dict[str, list[tuple[CaseStatus, float, str]]] = {}
    finished: list[CaseResult] = []
    not_collected: dict[str, str] = {}
    for fields in _lines(results):
        match fields:
            case ["collect", str(node), "failed", str(message)]:
                not_collected[node.partition("::")[0]] = message
            case ["collect", str(node), "skipped", str(message)]:
                finished.append(CaseResult(id=node, status=CaseStatus.SKIPPED, message=message))
            case ["test", str(node), str(when), str(outcome), float(seconds), str(message)]:
                phases = running.setdefault(node, [])
                phases.append((_phase_status(when, outcome), seconds, message))
                if when == "teardown":
                    finished.extend(CaseResult(id=node, status=s, seconds=t, message=m) for s, t, m in phases)
                    del running[node]
    return worst(finished), not_collected


def _phase_status(when: str, outcome: str) -> CaseStatus:
    if outcome == "failed":
        return CaseStatus.FAILED if when == "call" else CaseStatus.ERROR
    return {"skipped": CaseStatus.SKIPPED, "xfailed": CaseStatus.XFAILED}.get(outcome, CaseStatus.PASSED)
