"""Reports that were written by somebody else than pytest."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.testing.junit import BadReport, parse, worst
from harness.testing.records import read_records
from models.suite import CaseResult, CaseStatus, SuiteEnd
from tests.harness.test_suite_runs import statuses, suite  # noqa: F401 (a fixture)

GOOD = '<testsuite><testcase classname="t" name="test_x" file="t.py" time="0.1"/></testsuite>'


def seal(results: Path, report: bytes, nonce: str = "nonce", code: int = 0) -> None:
    digest = hashlib.sha256(report).hexdigest()
    text = json.dumps({"nonce": nonce, "exit": code, "whole": True, "report": digest})
    (results / "seal.json").write_text(text)


def test_a_report_counts_only_under_its_seal(tmp_path):
    (tmp_path / "report.xml").write_text(GOOD)
    assert not read_records(tmp_path, "nonce").sealed
    seal(tmp_path, GOOD.encode(), nonce="guess")
    assert not read_records(tmp_path, "nonce").sealed
    seal(tmp_path, b"other")
    assert not read_records(tmp_path, "nonce").sealed
    seal(tmp_path, GOOD.encode())
    assert set(read_records(tmp_path, "nonce").cases) == {"t.py::test_x"}


@pytest.mark.parametrize("name", ["report.xml", "seal.json", "progress.jsonl"])
@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "huge", "binary"])
def test_files_that_are_not_what_they_should_be_are_not_read(tmp_path, tmp_path_factory, name, kind):
    (tmp_path / "report.xml").write_text(GOOD)
    seal(tmp_path, GOOD.encode())
    secret = tmp_path_factory.mktemp("host") / "secret"
    secret.write_bytes(
        (tmp_path / name).read_bytes() if (tmp_path / name).exists() else b'["collect", "x", "failed", "y"]'
    )
    (tmp_path / name).unlink(missing_ok=True)
    if kind == "symlink":
        (tmp_path / name).symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(tmp_path / name)
    elif kind == "directory":
        (tmp_path / name).mkdir()
    elif kind == "huge":
        with (tmp_path / name).open("wb") as file:
            file.truncate(2**40)
    else:
        (tmp_path / name).write_bytes(b"\xff\x00\xfe\n[1]\n{}\n[]\n")
    records = read_records(tmp_path, "nonce")
    assert records.sealed == (name == "progress.jsonl")
    assert records.not_collected == {}


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
def test_a_suite_that_writes_its_own_report_and_leaves_has_crashed(suite, name):  # noqa: F811
    report = suite({"test_t.py": "def test_x(): assert 0\n", name: FORGED + "os._exit(0)\n"})
    assert report.end is SuiteEnd.CRASHED
    assert report.passed == set()


def test_a_report_that_is_replaced_after_the_end_has_crashed(suite):  # noqa: F811
    files = {
        "test_t.py": "def test_x(): assert 0\n",
        "conftest.py": "import atexit\n@atexit.register\ndef later():\n"
        + FORGED.strip().replace("import os\n", "    "),
    }
    report = suite(files)
    assert report.end is SuiteEnd.CRASHED
    assert statuses(report) == {"test_t.py::test_x": "failed"}


def test_the_runners_own_part_cannot_be_read_when_the_repositorys_code_runs(suite):  # noqa: F811
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


def test_records_that_are_nested_too_deeply_to_be_read_do_not_count(suite):  # noqa: F811
    deep = "'[' * 200_000"
    forged = (
        "import os\n"
        f"open('/cra/suite/results/seal.json', 'w').write({deep})\n"
        f"open('/cra/suite/results/progress.jsonl', 'a').write({deep} + chr(10))\n"
    )
    report = suite({"test_t.py": "def test_x(): pass\n", "conftest.py": forged + "os._exit(0)\n"})
    assert report.end is SuiteEnd.CRASHED
    assert report.passed == set()
