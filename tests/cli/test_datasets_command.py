"""`cra datasets` as a user types it."""

import json
from pathlib import Path

import pytest

from tests.support.commands import invoke as cra
from tests.support.dataset_rows import MAKERS, code_feedback, d3, evol_instruct, write_rows
from training.data.sources.collections import read_card


def test_the_known_datasets_are_listed(tmp_path: Path) -> None:
    listed = json.loads(cra("datasets", "list", "--json", cwd=tmp_path).stdout)
    assert {each["name"] for each in listed} == set(MAKERS)
    assert {each["name"] for each in listed if each["needs_acceptance"]} == {"evol-instruct-80k", "d3"}
    shown = cra("datasets", "list", cwd=tmp_path).stdout
    assert all(each["publisher"] in shown for each in listed)


def test_an_import_writes_a_collection_and_says_what_was_left_out(tmp_path: Path) -> None:
    rows = [code_feedback(0), code_feedback(1), code_feedback(2, lang="java")]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    done = json.loads(cra("datasets", "import", "code-feedback", "--from", path, "--json", cwd=tmp_path).stdout)
    assert (done["offered"], done["pairs"], done["dropped"]) == (3, 2, {"another language": 1})
    assert read_card(Path(done["collection"])).id == done["id"]
    shown = cra("datasets", "import", "code-feedback", "--from", path, "--limit", "1", cwd=tmp_path)
    assert shown.returncode == 0 and "1 example of 1 row" in shown.stdout


def test_a_file_is_inspected(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.parquet", [d3(number) for number in range(4)])
    found = json.loads(cra("datasets", "inspect", "--from", path, "--limit", "3", "--json", cwd=tmp_path).stdout)
    assert (found["dataset"], found["rows"], found["kept"], found["stopped"]) == ("d3", 3, 3, None)
    shown = cra("datasets", "inspect", "d3", "--from", tmp_path, cwd=tmp_path)
    assert "4 rows of 4" in shown.stdout and "--accept-licence" in shown.stdout


@pytest.mark.parametrize("name", [(), ("code-feedback",)])
def test_a_file_of_no_known_dataset_ends_with_1(tmp_path: Path, name: tuple[str, ...]) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"a": "\x1b[31m"}])
    shown = cra("datasets", "inspect", *name, "--from", path, cwd=tmp_path)
    assert shown.returncode == 1
    assert "\x1b[31m" not in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("import", "nothing", "--from", "rows.jsonl"), "open-code-instruct"),
        (("inspect", "nothing", "--from", "rows.jsonl"), "open-code-instruct"),
        (("import", "evol-instruct", "--from", "nowhere"), "nowhere does not exist"),
        (("import", "evol-instruct", "--from", "page.json"), "page.json"),
        (("inspect", "--from", "page.json"), "page.json"),
        (("import", "evol-instruct-80k", "--from", "rows.jsonl"), "--accept-licence"),
        (("import", "code-feedback", "--from", "rows.jsonl"), "field query: is absent"),
        (("import", "swe-bench", "--from", "rows.jsonl"), "cra import"),
    ],
)
def test_a_mistake_with_a_dataset_ends_in_one_line(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    write_rows(tmp_path / "rows.jsonl", [evol_instruct()])
    (tmp_path / "page.json").write_text("<html>")
    done = cra("datasets", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert says in line
