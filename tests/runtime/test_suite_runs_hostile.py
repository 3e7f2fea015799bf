"""Reports that were written by somebody else than pytest."""

import contextlib
import hashlib
import json
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.suite import CaseResult, CaseStatus, SuiteEnd
from runtime.testing.channel import Received, verified
from runtime.testing.pytest_runner.junit import BadReport, parse, worst
from runtime.testing.pytest_runner.records import read_records
from tests.support.suites import statuses

pytestmark = pytest.mark.slow

GOOD = '<testsuite><testcase classname="t" name="test_x" file="t.py" time="0.1"/></testsuite>'


RAN = ["test", "t.py::test_x", "call", "passed", 0.1, ""]
DOWN = ["test", "t.py::test_x", "teardown", "passed", 0.1, ""]


def sealed(report: bytes, *lines: list[object], code: int = 0) -> Received:
    """What comes on the channel of a run that ended well."""
    seal = ["seal", code, True, hashlib.sha256(report).hexdigest()]
    return Received([*(lines or (RAN, DOWN)), seal], forged=False)


def test_a_report_counts_only_under_its_seal(tmp_path):
    (tmp_path / "report.xml").write_text(GOOD)
    assert not read_records(tmp_path, Received([RAN, DOWN], forged=False)).sealed
    assert not read_records(tmp_path, sealed(b"other")).sealed
    assert not read_records(tmp_path, Received(sealed(GOOD.encode()).lines, forged=True)).sealed
    assert not read_records(tmp_path, Received([*sealed(GOOD.encode()).lines, DOWN], forged=False)).sealed
    assert set(read_records(tmp_path, sealed(GOOD.encode())).cases) == {"t.py::test_x"}


def test_a_report_cannot_make_a_test_better_than_it_was_as_it_ran(tmp_path):
    (tmp_path / "report.xml").write_text(GOOD)
    failed = ["test", "t.py::test_x", "call", "failed", 0.1, "AssertionError"]
    records = read_records(tmp_path, sealed(GOOD.encode(), failed, DOWN))
    assert records.sealed
    assert records.cases["t.py::test_x"].status is CaseStatus.FAILED
    unknown = read_records(tmp_path, sealed(GOOD.encode(), ["collect", "t.py", "failed", "x"]))
    assert unknown.cases == {}


def test_durations_that_are_no_numbers_do_not_count(tmp_path):
    odd = [["test", "t.py::test_x", when, "passed", math.nan, ""] for when in ("call", "teardown")]
    assert read_records(tmp_path, Received(odd, forged=False)).cases == {}
    with pytest.raises(BadReport):
        parse(GOOD.replace("0.1", "nan").encode())


@given(st.lists(st.lists(st.integers() | st.text() | st.none(), min_size=1, max_size=4), max_size=5), st.data())
def test_what_was_sent_arrives_and_nothing_else_verifies(lines, data):
    secret = b"k" * 32
    sent = b""
    for number, line in enumerate(lines):
        content = json.dumps(line).encode()
        mac = hashlib.blake2b(b"%d %s" % (number, content), key=secret, digest_size=16).hexdigest()
        sent += mac.encode() + b" " + content + b"\n"
    received = verified(sent, secret)
    assert (received.lines, received.forged) == (lines, False)
    cut = data.draw(st.integers(0, len(sent)))
    assert verified(sent[:cut], secret).lines == lines[: sent[:cut].count(b"\n")]
    if sent:
        at = data.draw(st.integers(0, len(sent) - 1))
        other = sent[:at] + bytes([sent[at] ^ 1]) + sent[at + 1 :]
        assert verified(other, secret).lines != lines or verified(other, secret).forged


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "huge", "binary"])
def test_a_report_that_is_not_what_it_should_be_is_not_read(tmp_path, tmp_path_factory, kind):
    report = tmp_path / "report.xml"
    if kind == "symlink":
        secret = tmp_path_factory.mktemp("host") / "secret"
        secret.write_text(GOOD)
        report.symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(report)
    elif kind == "directory":
        report.mkdir()
    elif kind == "huge":
        with report.open("wb") as file:
            file.truncate(2**40)
    else:
        report.write_bytes(b"\xff\x00\xfe\n[1]\n{}\n[]\n")
    assert not read_records(tmp_path, sealed(GOOD.encode())).sealed


@pytest.mark.parametrize(
    "content",
    [
        "",
        GOOD[:-20],
        "not xml",
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + GOOD.replace("test_x", "&b;"),
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + GOOD.replace("test_x", "&a;"),
        GOOD.replace("0.1", "soon"),
        GOOD.replace("/>", '><properties><property name="cra_id" value="{"/></properties></testcase>', 1),
    ],
)
def test_bad_reports_are_refused(content):
    with pytest.raises(BadReport):
        parse(content.encode())


def test_a_deeply_nested_report_does_no_harm():
    depth = 200_000
    content = b"<a>" * depth + b"</a>" * depth
    assert parse(content) == {}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content):
    with contextlib.suppress(BadReport):
        assert isinstance(parse(content), dict)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(CaseStatus))))
def test_the_worst_outcome_wins_in_any_order(pairs):
    cases = [CaseResult(id=name, status=status) for name, status in pairs]
    forwards, backwards = worst(cases), worst(reversed(cases))
    assert {k: v.status for k, v in forwards.items()} == {k: v.status for k, v in backwards.items()}
    for case in cases:
        if case.status is CaseStatus.ERROR:
            assert forwards[case.id].status is CaseStatus.ERROR


FORGED = f"""
import os
open("/cra/suite/results/report.xml", "w").write({GOOD!r})
"""


@pytest.mark.parametrize("name", ["conftest.py", "test_a.py"])
def test_a_suite_that_writes_its_own_report_and_leaves_has_crashed(suite, name):
    report = suite({"test_t.py": "def test_x(): assert 0\n", name: FORGED + "os._exit(0)\n"})
    assert report.end is SuiteEnd.CRASHED
    assert report.passed == set()


def test_a_report_that_is_replaced_after_the_end_has_crashed(suite):
    files = {
        "test_t.py": "def test_x(): assert 0\n",
        "conftest.py": "import atexit\n@atexit.register\ndef later():\n"
        + FORGED.strip().replace("import os\n", "    "),
    }
    report = suite(files)
    assert report.end is SuiteEnd.CRASHED
    assert statuses(report) == {"test_t.py::test_x": "failed"}


def test_the_runners_own_part_cannot_be_read_when_the_repositorys_code_runs(suite):
    report = suite(
        {
            "conftest.py": (
                "import os, sys\nassert os.listdir('/cra/suite/plugin') == []\n"
                "assert not [name for name in sys.modules if name.startswith('plugin_')]\n"
            ),
            "test_t.py": "def test_x(): pass\n",
        }
    )
    assert report.end is SuiteEnd.COMPLETED


def test_records_that_are_nested_too_deeply_to_be_read_do_not_count(suite):
    deep = "'[' * 200_000"
    forged = (
        "import os\n"
        f"open('/cra/suite/results/seal.json', 'w').write({deep})\n"
        f"open('/cra/suite/results/progress.jsonl', 'a').write({deep} + chr(10))\n"
    )
    report = suite({"test_t.py": "def test_x(): pass\n", "conftest.py": forged + "os._exit(0)\n"})
    assert report.end is SuiteEnd.CRASHED
    assert report.passed == set()
