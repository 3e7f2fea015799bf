"""Outcomes from the reports of JavaScript test runners."""

import json
from pathlib import PurePosixPath
from typing import Any

import pytest

from models.suite import CaseStatus
from runtime.testing.node_runner.reports import BadReport, read_jest, read_mocha, read_node

ROOT = PurePosixPath("/room")


def jest(*tests: dict[str, Any], status: str = "passed", message: str = "") -> bytes:
    suite = {"name": "/room/src/a.test.ts", "status": status, "message": message, "assertionResults": list(tests)}
    return json.dumps({"testResults": [suite]}).encode()


def one(title: str, status: str = "passed", *above: str) -> dict[str, Any]:
    return {"ancestorTitles": list(above), "title": title, "status": status, "failureMessages": [], "duration": 5}


def test_ids_hold_the_file_the_titles_and_a_number_among_equals() -> None:
    found = read_jest(jest(one("adds", "passed", "sum"), one("adds", "failed", "sum"), one("alone", "todo")), ROOT)
    assert {name: case.status for name, case in found.cases.items()} == {
        "src/a.test.ts::sum > adds": CaseStatus.PASSED,
        "src/a.test.ts::sum > adds #2": CaseStatus.FAILED,
        "src/a.test.ts::alone": CaseStatus.SKIPPED,
    }
    assert found.failed


@pytest.mark.parametrize("status", ["failed", "passed"])
def test_a_file_that_does_not_load_is_no_test(status: str) -> None:
    found = read_jest(jest(status=status, message="Cannot find module './x'"), ROOT)
    assert found.not_loaded == {"src/a.test.ts": "Cannot find module './x'"}
    assert not found.cases


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"testResults": 3}', b'{"testResults": [{"name": "/etc/x", "status": "", "assertionResults": []}]}',
     jest(one("x", "excellent")), b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_report_is_refused(content: bytes) -> None:
    with pytest.raises(BadReport):
        read_jest(content, ROOT)


def test_titles_of_half_characters_and_nul_can_be_stored() -> None:
    found = read_jest(jest(one("a\ud800b\0c")), ROOT)
    (name,) = found.cases
    assert name.encode() and "\0" not in name


def test_mocha_tells_pending_from_passed_and_failed_hooks() -> None:
    def test(title: str, full: str, error: str = "") -> dict[str, Any]:
        return {
            "title": title,
            "fullTitle": full,
            "file": "/room/test/a.js",
            "err": {"message": error} if error else {},
        }

    data = {
        "tests": [test("works", "sum works"), test("waits", "sum waits"), test("fails", "fails", "AssertionError: no")],
        "pending": [test("waits", "sum waits")],
        "failures": [
            test("fails", "fails", "AssertionError: no"),
            test('"before all" hook', 'x "before all" hook', "y"),
        ],
    }
    found = read_mocha(json.dumps(data).encode(), ROOT)
    assert {name: case.status.value for name, case in found.cases.items()} == {
        "test/a.js::sum > works": "passed",
        "test/a.js::sum > waits": "skipped",
        "test/a.js::fails": "failed",
        'test/a.js::x > "before all" hook': "failed",
    }


def test_nested_suites_of_node_and_a_file_that_ends_with_an_error() -> None:
    report = b"""<?xml version="1.0"?><testsuites>
      <testsuite name="sum"><testcase name="adds" time="0.5"/>
        <testcase name="fails" time="0"><failure message="no">AssertionError</failure></testcase></testsuite>
      <testcase name="later" time="0"><skipped type="todo"/></testcase></testsuites>"""
    found = read_node(report, "test/a.js")
    assert {name: case.status.value for name, case in found.cases.items()} == {
        "test/a.js::sum > adds": "passed",
        "test/a.js::sum > fails": "failed",
        "test/a.js::later": "skipped",
    }
    assert found.cases["test/a.js::sum > adds"].seconds == 0.5
    broken = b'<testsuites><testcase name="/room/test/a.js"><failure>x</failure></testcase></testsuites>'
    assert list(read_node(broken, "test/a.js").not_loaded) == ["test/a.js"]


def test_control_characters_in_titles_of_node_do_not_spoil_a_report() -> None:
    found = read_node(b'<testsuites><testcase name="a\x01"/><testcase name="a\x02"/></testsuites>', "a.js")
    assert list(found.cases) == ["a.js::a\N{REPLACEMENT CHARACTER}", "a.js::a\N{REPLACEMENT CHARACTER} #2"]


def test_a_document_that_attacks_the_parser_is_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><testsuites>&a;</testsuites>'
    with pytest.raises(BadReport):
        read_node(bomb, "a.js")
