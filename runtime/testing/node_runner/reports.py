"""Outcomes from the reports of JavaScript test runners, which the tested code's own process writes: untrusted.

A test's id is `path::describe > title`; of several with the same names in one file, the second gets ` #2`, and so on.
"""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element  # the type only: parsing is defusedxml's

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from models.suite import CaseResult, CaseStatus

_MESSAGE = 2000  # most characters of a failure message
_TITLE = 4000  # most characters of a test's names
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STATUSES = {
    "passed": CaseStatus.PASSED,
    "failed": CaseStatus.FAILED,
    "pending": CaseStatus.SKIPPED,
    "skipped": CaseStatus.SKIPPED,
    "disabled": CaseStatus.SKIPPED,
    "todo": CaseStatus.SKIPPED,
}


class BadReport(Exception):
    """A report that cannot be read."""


@dataclass(frozen=True)
class Outcomes:
    """Cases by id, and files that could not be loaded with the head of the error."""

    cases: dict[str, CaseResult] = field(default_factory=dict)
    not_loaded: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether anything failed."""
        return bool(self.not_loaded) or any(each.status is CaseStatus.FAILED for each in self.cases.values())


@dataclass(frozen=True)
class _Named:
    """A test before it has an id."""

    file: str
    titles: tuple[str, ...]
    status: CaseStatus
    seconds: float
    message: str


def read_jest(content: bytes, root: PurePosixPath) -> Outcomes:
    """The JSON of jest and vitest; `root` is the work tree's path in it. Raises BadReport."""
    data = _json(content)
    named: list[_Named] = []
    not_loaded: dict[str, str] = {}
    try:
        for suite in data["testResults"]:
            file = relative(suite["name"], root)
            tests = suite["assertionResults"]
            if not tests and (suite["status"] == "failed" or suite.get("message")):  # vitest 0 says it passed
                not_loaded[file] = _text(suite.get("message") or "the file could not be loaded")[:_MESSAGE]
            named += [_jest_test(file, test) for test in tests]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadReport(f"the report is not of the known form: {error!r}"[:200]) from error
    return Outcomes(_with_ids(named), not_loaded)


def _jest_test(file: str, test: dict[str, Any]) -> _Named:
    titles = (*(str(title) for title in test.get("ancestorTitles") or ()), str(test["title"]))
    message = "\n".join(str(each) for each in test.get("failureMessages") or ())
    seconds = _seconds(test.get("duration"))
    return _Named(file, tuple(filter(None, titles)), _STATUSES[test["status"]], seconds, message)


def read_mocha(content: bytes, root: PurePosixPath) -> Outcomes:
    """The JSON of mocha. A failed hook is a failed test under the hook's title. Raises BadReport."""
    data = _json(content)
    try:
        pending = Counter(_mocha_name(test) for test in data["pending"])
        named = [_mocha_test(test, pending, root) for test in data["tests"]]
        listed = {_mocha_name(test) for test in data["tests"]}
        named += [_mocha_test(test, Counter(), root) for test in data["failures"] if _mocha_name(test) not in listed]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadReport(f"the report is not of the known form: {error!r}"[:200]) from error
    return Outcomes(_with_ids(named))


def _mocha_name(test: dict[str, Any]) -> tuple[str, str]:
    return str(test.get("file") or ""), str(test["fullTitle"])


def _mocha_test(test: dict[str, Any], pending: Counter[tuple[str, str]], root: PurePosixPath) -> _Named:
    title, full = str(test["title"]), str(test["fullTitle"])
    above = full.removesuffix(title).strip()
    error = test.get("err") or {}
    status = CaseStatus.PASSED
    if error:
        status = CaseStatus.FAILED
    elif pending[_mocha_name(test)]:
        status = CaseStatus.SKIPPED
    message = str(error.get("stack") or error.get("message") or "failed") if error else ""
    titles = (above, title) if above else (title,)
    return _Named(relative(str(test["file"]), root), titles, status, _seconds(test.get("duration")), message)


def read_node(content: bytes, file: str) -> Outcomes:
    """The JUnit report of `node --test` over one file, which names no file. Raises BadReport.

    Node.js writes titles with control characters as they are, which XML does not allow: they are replaced.
    """
    try:
        text = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", content.decode("utf-8", "replace"))
        root: Element = fromstring(text.encode(), forbid_dtd=True)
        named = list(_node_tests(root, file, ()))
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise BadReport(f"the JUnit report cannot be read: {error}") from error
    own = [each for each in named if not (len(each.titles) == 1 and _is_file(each.titles[0], file))]
    whole = [each for each in named if each not in own and each.status is CaseStatus.FAILED]
    if whole and not any(each.status is CaseStatus.FAILED for each in own):
        return Outcomes(_with_ids(own), {file: _text(whole[0].message)[:_MESSAGE]})
    return Outcomes(_with_ids(own))


def _node_tests(element: Element, file: str, above: tuple[str, ...]) -> Iterator[_Named]:
    for child in element:
        name = child.get("name") or ""
        if child.tag == "testsuite":
            inner = above if _is_file(name, file) else (*above, name)
            yield from _node_tests(child, file, inner)
        elif child.tag == "testcase":
            status, message = CaseStatus.PASSED, ""
            for mark in child:
                if mark.tag == "failure":
                    status, message = CaseStatus.FAILED, f"{mark.get('message') or ''}\n{mark.text or ''}"
                elif mark.tag == "skipped":
                    status, message = CaseStatus.SKIPPED, mark.get("message") or ""
            yield _Named(file, (*above, name), status, _seconds(child.get("time"), 1.0), message)


def _is_file(title: str, file: str) -> bool:
    return title == file or title.endswith(f"/{file}")


def merged(outcomes: Iterable[Outcomes]) -> Outcomes:
    """Outcomes of several runs in one; what failed in one of them failed, and what was not loaded was not."""
    cases: dict[str, CaseResult] = {}
    not_loaded: dict[str, str] = {}
    for each in outcomes:
        not_loaded |= each.not_loaded
        for test, case in each.cases.items():
            if test not in cases or case.status is CaseStatus.FAILED:
                cases[test] = case
    return Outcomes(cases, not_loaded)


def relative(name: str, root: PurePosixPath) -> str:
    """A file's path relative to the work tree. Raises ValueError for one outside of it."""
    path = os.path.relpath(name, root)
    if path.startswith("..") or "\0" in path:
        raise ValueError(f"{name[:80]!a} is not in the work tree")
    return path


def _with_ids(tests: Sequence[_Named]) -> dict[str, CaseResult]:
    seen: Counter[str] = Counter()
    cases = {}
    for test in tests:
        base = f"{test.file}::{_text(' > '.join(test.titles))[:_TITLE]}"
        seen[base] += 1
        name = base if seen[base] == 1 else f"{base} #{seen[base]}"
        message = _text(test.message)[:_MESSAGE]
        cases[name] = CaseResult(id=name, status=test.status, seconds=test.seconds, message=message)
    return cases


def _text(text: str) -> str:
    """A text that can be stored: no NUL, no half characters."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _seconds(value: Any, unit: float = 0.001) -> float:
    try:
        seconds = float(value or 0) * unit
    except (TypeError, ValueError):
        return 0.0
    return seconds if math.isfinite(seconds) and seconds >= 0 else 0.0


def _json(content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadReport(f"the report is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise BadReport("the report is no JSON object")
    return data
