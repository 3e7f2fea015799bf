"""Test outcomes from an untrusted JUnit report."""

import json
import math
from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element  # the type only: parsing is defusedxml's

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from models.suite import CaseResult, CaseStatus

_MESSAGE = 2000  # most characters of a failure message
_BADNESS = [CaseStatus.PASSED, CaseStatus.XFAILED, CaseStatus.SKIPPED, CaseStatus.FAILED, CaseStatus.ERROR]
_OLD_XFAIL = "expected test failure"  # how pytest 4 marks an xfail


class BadReport(Exception):
    """A report that cannot be read: not XML, not JUnit's, or an attack on the parser."""


def parse(content: bytes) -> dict[str, CaseResult]:
    """Tests by node id; of several outcomes under one id the worst counts. Raises BadReport.

    Entries for modules that were not collected have no class name and are left out: the plugin records them.
    """
    try:
        root: Element = fromstring(content, forbid_dtd=True)
        cases = [_case(element) for element in root.iter("testcase") if element.get("classname")]
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise BadReport(f"the JUnit report cannot be read: {error}") from error
    return worst(cases)


def worst(cases: Iterable[CaseResult]) -> dict[str, CaseResult]:
    """Cases by id, the worst of each."""
    result: dict[str, CaseResult] = {}
    for case in cases:
        known = result.get(case.id)
        if known is None or _BADNESS.index(case.status) > _BADNESS.index(known.status):
            result[case.id] = case
    return result


def _case(element: Element) -> CaseResult:
    status, message = CaseStatus.PASSED, ""
    for child in element:
        found = _status(child)
        if found is not None and _BADNESS.index(found) > _BADNESS.index(status):
            status, message = found, child.get("message") or child.text or ""
    return CaseResult(
        id=_node_id(element),
        status=status,
        seconds=_seconds(element.get("time") or "0"),
        message=message[:_MESSAGE],
    )


def _seconds(text: str) -> float:
    """A duration; raises ValueError for anything else, also for infinities and NaN, which JSON cannot represent."""
    if not math.isfinite(seconds := float(text)):
        raise ValueError(f"time {text[:20]!r} is no duration")
    return seconds


def _status(child: Element) -> CaseStatus | None:
    if child.tag == "failure":
        return CaseStatus.FAILED
    if child.tag == "error":
        return CaseStatus.ERROR
    if child.tag == "skipped":
        expected = child.get("type") == "pytest.xfail" or child.get("message") == _OLD_XFAIL
        return CaseStatus.XFAILED if expected else CaseStatus.SKIPPED
    return None


def _node_id(element: Element) -> str:
    """The id recorded by our plugin, or the one composed of file, class name and name.

    The latter cannot distinguish characters that XML forbids from their escapes.
    """
    for item in element.iterfind("properties/property"):
        if item.get("name") == "cra_id":
            noted: Any = json.loads(item.get("value") or "")
            return str(noted)
    file, name, owner = element.get("file", ""), element.get("name", ""), element.get("classname", "")
    module = file.removesuffix(".py").replace("/", ".")
    classes = owner.removeprefix(module).strip(".").split(".") if owner != module else []
    return "::".join([file, *classes, name])
