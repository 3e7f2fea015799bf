"""`cra index` as a user types it."""

import json
from pathlib import Path

from harness.packages.sample import build_sample
from tests.support.commands import invoke as cra


def test_an_index_is_printed_for_people_and_for_programs(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "spans")
    shown = cra("index", sample, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "symbols" in shown.stdout
    assert "src/spans/" in shown.stdout
    first, second = (cra("index", sample, "--json", cwd=tmp_path).stdout for _ in range(2))
    assert first == second
    told = json.loads(first)
    files = {file["path"]: file for file in told["files"]}
    package = files["src/spans/__init__.py"]
    assert package["kind"] == "production"
    assert package["imports"]
    assert any(file["exercises"] for file in told["files"])
    older = json.loads(cra("index", sample, "--at", "HEAD~5", "--json", cwd=tmp_path).stdout)
    assert older["revision"] != told["revision"]
    assert older["commits"] < told["commits"]


def test_what_cannot_be_indexed_is_said_in_one_line(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "spans")
    for arguments, said in (
        (["index", tmp_path], "is no git repository"),
        (["index", tmp_path / "nowhere"], "is no directory"),
        (["index", sample, "--at", "nope"], "no commit 'nope'"),
    ):
        done = cra(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_the_tests_that_a_change_may_break_are_listed_with_the_reason_of_each(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "spans")
    shown = cra("index", sample, "--affected", "src/spans/parse.py", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    told = json.loads(cra("index", sample, "--affected", "src/spans/parse.py", "--json", cwd=tmp_path).stdout)
    assert told
    assert {test["how"] for test in told} <= {"name", "import", "helper", "fixture", "hook", "string", "indirect"}
    assert all(test["path"] in shown.stdout for test in told)
    missing = cra("index", sample, "--affected", "nowhere.py", cwd=tmp_path)
    assert missing.returncode == 2
    assert "nowhere.py" in missing.stderr
