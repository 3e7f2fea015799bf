"""Public datasets in their true schemas: what is kept of them, what is not and why, and what stops an import."""

import json
from pathlib import Path
from typing import Any

import pytest

from exchange import streaming
from exchange.open_datasets import LONG, Inspection, import_dataset, inspect_dataset
from models.edits import EditFormat
from models.errors import TrainingError, UsageError
from models.training import Pair
from tests.support import dataset_rows
from tests.support.dataset_rows import ANSWER, CODE, MAKERS, Row, write_rows
from training.data.sources.collections import CollectionCard, read_collection
from training.data.sources.open_datasets.catalogue import DATASETS
from training.data.sources.open_datasets.commits import SEVERAL_NAMES
from training.data.sources.open_datasets.licences import RESTRICTED, UNKNOWN
from training.data.sources.open_datasets.programs import NO_FENCE, NO_LANGUAGE, OTHER_LANGUAGE, SEVERAL, UNCLOSED
from training.data.sources.open_datasets.reading import MISFIT

WITH_EXAMPLES = [name for name in MAKERS if name != "swe-bench"]
FORMATS = ("rows.parquet", "rows.jsonl", "rows.json", "rows.jsonl.gz", "rows.json.gz")
SEARCH_REPLACE = EditFormat.SEARCH_REPLACE


def imported(tmp_path: Path, name: str, rows: list[Row], file: str = "rows.jsonl", **options: Any) -> CollectionCard:
    path = write_rows(tmp_path / "in" / file, rows)
    asked = {"limit": None, "accepted": True, "edit_format": SEARCH_REPLACE} | options
    return import_dataset(tmp_path / "data", name, path, **asked)[1]


def pairs(tmp_path: Path, name: str, rows: list[Row], **options: Any) -> list[Pair]:
    card = imported(tmp_path, name, rows, **options)
    (folder,) = (tmp_path / "data" / "collections").glob(f"*-{card.id[:12]}")
    return [row for row in read_collection(folder) if isinstance(row, Pair)]


def refused(tmp_path: Path, name: str, rows: list[Row], **options: Any) -> str:
    with pytest.raises(UsageError) as caught:
        imported(tmp_path, name, rows, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert not list((tmp_path / "data").glob("collections/*"))
    return message


def inspected(tmp_path: Path, rows: list[Row], name: str | None = None, file: str = "rows.jsonl") -> Inspection:
    return inspect_dataset(write_rows(tmp_path / "in" / file, rows), name, 1000, SEARCH_REPLACE)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
@pytest.mark.parametrize("file", FORMATS)
def test_each_dataset_is_read_from_each_format(tmp_path: Path, name: str, file: str) -> None:
    card = imported(tmp_path, name, [MAKERS[name](number) for number in range(5)], file)
    assert (card.offered, card.pairs, card.dropped, card.source) == (5, 5, {}, name)
    assert card.made_from["dataset"] == DATASETS[name].publisher
    assert list(card.made_from["files"]) == [file]
    assert card.terms == DATASETS[name].terms


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("file", FORMATS[:3])
def test_a_file_is_recognised_by_its_columns(tmp_path: Path, name: str, file: str) -> None:
    found = inspected(tmp_path, [MAKERS[name](number) for number in range(3)], file=file)
    assert found.dataset is not None
    assert (found.dataset.source, found.rows, found.kept, found.dropped) == (name, 3, 3, {})
    assert (found.alike[0].fitting, found.alike[0].faults) == (3, {})


def test_the_same_file_gives_the_same_collection(tmp_path: Path) -> None:
    rows = [dataset_rows.evol_instruct(number) for number in range(3)]
    first, again = imported(tmp_path, "evol-instruct", rows), imported(tmp_path, "evol-instruct", rows)
    assert first == again
    assert len(list((tmp_path / "data" / "collections").iterdir())) == 1


def test_a_program_becomes_a_new_file(tmp_path: Path) -> None:
    (pair,) = pairs(tmp_path, "oss-instruct", [dataset_rows.oss_instruct(7)])
    assert pair.answer == f"### create solution.py\n```python\n{CODE}```\n"
    assert "Double, variant 7." in pair.messages[-1].content
    known = pair.provenance
    assert (known.repository, known.organisation) == ("magicoder-oss-instruct-75k", "unknown")
    assert (known.domain, known.license, known.model) == ("unknown", "MIT", "gpt-3.5-turbo")


def test_a_commit_becomes_edits_with_its_own_licence(tmp_path: Path) -> None:
    (pair,) = pairs(tmp_path, "commitpackft", [dataset_rows.commitpackft(3)])
    assert pair.answer.startswith("### edit pkg/a.py\n<<<<<<< SEARCH\n")
    assert "It was wrong." in pair.messages[-1].content
    known = pair.provenance
    assert (known.repository, known.organisation, known.domain, known.license) == ("lib", "me", "unknown", "MIT")
    assert known.commit == f"{3:040x}"


def test_diffs_become_the_edits_from_first_to_last_state(tmp_path: Path) -> None:
    (pair,) = pairs(tmp_path, "d3", [dataset_rows.d3(1)], edit_format=EditFormat.WHOLE_SYMBOL)
    assert "def two():\n    return 1\n" in pair.answer
    assert (pair.provenance.repository, pair.provenance.organisation) == ("maths", "someone")
    (new,) = pairs(tmp_path, "d3", [dataset_rows.d3(program_start="", completion="@@ -0,0 +1 @@\n+x = 1")])
    assert new.answer == "### create pkg/maths.py\n```python\nx = 1\n```\n"


@pytest.mark.parametrize("repos", ["Me/My_Lib.py", "Me/My_Lib.py,you/my-lib-py", "Me/my--lib.py/"])
def test_repositories_are_named_as_packages_are(tmp_path: Path, repos: str) -> None:
    (pair,) = pairs(tmp_path, "commitpackft", [dataset_rows.commitpackft(repos=repos)])
    assert (pair.provenance.repository, pair.provenance.organisation) == ("my-lib-py", "me")


@pytest.mark.parametrize(("name", "owner"), [("Someone/Some.Maths", "someone"), ("Some_Maths", "unknown")])
def test_rows_of_diffs_have_the_owner_that_they_name(tmp_path: Path, name: str, owner: str) -> None:
    metadata = dataset_rows.STACK | {"max_stars_repo_name": name}
    (pair,) = pairs(tmp_path, "d3", [dataset_rows.d3(metadata=metadata)])
    known = pair.provenance
    assert (known.repository, known.organisation, known.domain) == ("some-maths", owner, "unknown")


def test_rows_of_diffs_without_a_repository_have_no_owner(tmp_path: Path) -> None:
    metadata = dataset_rows.STACK | {"max_stars_repo_name": None}
    (pair,) = pairs(tmp_path, "d3", [dataset_rows.d3(metadata=metadata)])
    assert (pair.provenance.repository, pair.provenance.organisation) == ("d3", "unknown")


def test_the_other_form_of_oss_instruct_is_read(tmp_path: Path) -> None:
    found = inspected(tmp_path, [dataset_rows.oss_instruct_responses()])
    assert found.dataset is DATASETS["oss-instruct"] and found.kept == 1


def test_the_limit_counts_examples(tmp_path: Path) -> None:
    rows = [dataset_rows.evol_instruct(n, response=ANSWER if n % 2 else "no") for n in range(10)]
    card = imported(tmp_path, "evol-instruct", rows, limit=3)
    assert (card.offered, card.pairs, card.dropped) == (6, 3, {NO_FENCE: 3})


def test_a_folder_is_read_file_by_file_and_only_as_far_as_needed(tmp_path: Path) -> None:
    for name in "ab":
        write_rows(tmp_path / "in" / name / "data.jsonl", [dataset_rows.commitpackft(ord(name))])
    card = import_dataset(
        tmp_path / "data", "commitpackft", tmp_path / "in", limit=1, accepted=False, edit_format=SEARCH_REPLACE
    )[1]
    assert list(card.made_from["files"]) == ["a/data.jsonl"]


# what is left out on purpose

LOW = json.dumps(dict.fromkeys(dataset_rows.JUDGED, 5) | {"logical_correctness": {"score": 4}})
TWO = f"{ANSWER}\n{ANSWER}"


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("open-code-instruct", {"average_test_score": "0.8"}, "tests fail"),
        ("open-code-instruct", {"tests_execution_status": '["pass", "fail"]'}, "tests fail"),
        ("open-code-instruct", {"tests_execution_status": "[]"}, "tests fail"),
        ("open-code-instruct", {"llm_judgement": LOW}, "judged too low"),
        ("code-feedback", {"lang": "javascript"}, OTHER_LANGUAGE),
        ("code-feedback", {"answer": "```js\nlet x = 1\n```"}, OTHER_LANGUAGE),
        ("evol-instruct", {"response": "x = 1"}, NO_FENCE),
        ("evol-instruct", {"response": "```\nx = 1\n```"}, NO_LANGUAGE),
        ("evol-instruct", {"response": TWO}, SEVERAL),
        ("evol-instruct", {"response": "```python\nx = 1"}, UNCLOSED),
        ("evol-instruct", {"response": "```python\nx = (\n```"}, "program does not parse"),
        ("evol-instruct", {"response": "```python\n\n```"}, "no program"),
        ("evol-instruct", {"instruction": " \n"}, "no task"),
        ("evol-instruct", {"instruction": "x" * 50_001}, "over 50000 characters"),
        ("evol-instruct", {"response": "```python\n" + "1\n" * 5001 + "```"}, "over 5000 lines"),
        ("evol-instruct", {"response": "```" + "x" * 300_000 + "`"}, NO_FENCE),
        ("evol-instruct", {"instruction": "a\0b"}, "NUL character"),
        ("evol-instruct", {"instruction": "a\ud800b"}, "half a surrogate pair"),
        ("open-coder", {"testcase": ["a\ud800"]}, "half a surrogate pair"),
        ("commitpackft", {"lang": "Ruby"}, OTHER_LANGUAGE),
        ("commitpackft", {"old_file": "b.py"}, "renamed"),
        ("commitpackft", {"old_file": "../a.py", "new_file": "../a.py"}, "path that edits may not name"),
        ("commitpackft", {"repos": " , "}, "no repository"),
        ("commitpackft", {"repos": "me/fork,you/lib"}, SEVERAL_NAMES),
        ("commitpackft", {"new_contents": "def one():\n    return 1\n"}, "nothing changes"),
        ("commitpackft", {"new_contents": "print 1\n"}, "program does not parse"),
        ("commitpackft", {"license": "unknown"}, UNKNOWN),
        ("commitpackft", {"license": "mit, proprietary"}, UNKNOWN),
        ("commitpackft", {"license": ""}, UNKNOWN),
        ("commitpackft", {"license": "not mit"}, UNKNOWN),
        ("commitpackft", {"license": "mit" + " " * 300_000}, UNKNOWN),
        ("commitpackft", {"license": "(" * 900}, UNKNOWN),
        ("commitpackft", {"license": "LicenseRef-mine"}, UNKNOWN),
        ("commitpackft", {"license": "cc-by-nc-4.0"}, RESTRICTED),
        ("commitpackft", {"license": "MIT AND CC-BY-NC-SA-4.0"}, RESTRICTED),
        ("d3", {"metadata": dataset_rows.STACK | {"max_stars_repo_licenses": ["MIT", "other"]}}, UNKNOWN),
        ("d3", {"metadata": dataset_rows.STACK | {"max_stars_repo_licenses": None}}, UNKNOWN),
        ("d3", {"completion": "@@ -1 +0,0 @@\n-import re"}, "diffs do not apply"),
        ("d3", {"completion": "import re"}, "diffs cannot be read"),
        ("d3", {"completion": f"@@ -{'9' * 5000} +1 @@\n-a\n+b"}, "diffs cannot be read"),
        ("d3", {"program_start": "x = 1\r\n"}, "line ends other than LF"),
    ],
)  # fmt: skip
def test_a_row_is_left_out_with_its_reason(tmp_path: Path, name: str, changed: Row, reason: str) -> None:
    card = imported(tmp_path, name, [MAKERS[name](0), MAKERS[name](1, **changed)])
    assert (card.offered, card.pairs, card.dropped) == (2, 1, {reason: 1})
    assert card.examples_of_dropped == {reason: "rows.jsonl line 2"}


@pytest.mark.parametrize(
    ("license", "known"),
    [
        ("mit", "MIT"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("apache-2.0,mit, MIT", "Apache-2.0 AND MIT"),
        ("['bsd-3-clause', 'isc']", "BSD-3-Clause AND ISC"),
        ("agpl-3.0", "AGPL-3.0"),
    ],
)
def test_the_licences_of_a_row_go_with_it(tmp_path: Path, license: str, known: str) -> None:
    card = imported(tmp_path, "commitpackft", [dataset_rows.commitpackft(license=license)])
    assert {name.upper() for name in card.licenses} == {known.upper()}


def test_commands_beside_the_program_do_not_count_as_programs(tmp_path: Path) -> None:
    answer = f"```bash\npip install x\n```\n\n{ANSWER}\n```\n4\n```\n"
    (pair,) = pairs(tmp_path, "evol-instruct", [dataset_rows.evol_instruct(response=answer)])
    assert pair.answer == f"### create solution.py\n```python\n{CODE}```\n"


def test_a_fence_inside_a_longer_fence_is_part_of_the_program(tmp_path: Path) -> None:
    program = 'text = """\n```python\nx\n```\n"""\n'
    (pair,) = pairs(tmp_path, "evol-instruct", [dataset_rows.evol_instruct(response=f"````py\n{program}````")])
    assert program in pair.answer


def test_the_column_code_is_used_where_the_answer_has_no_fence(tmp_path: Path) -> None:
    (pair,) = pairs(tmp_path, "open-coder", [dataset_rows.open_coder(output="As below.")])
    assert CODE in pair.answer


def test_scores_are_compared_as_numbers(tmp_path: Path) -> None:
    rows = [dataset_rows.open_code_instruct(n, average_test_score=text) for n, text in enumerate(["1", "1.0", " 1.00"])]
    assert imported(tmp_path, "open-code-instruct", rows).pairs == 3


@pytest.mark.usefixtures("short_rows")
def test_a_row_that_is_too_long_is_counted(tmp_path: Path) -> None:
    rows = [dataset_rows.evol_instruct(0), dataset_rows.evol_instruct(1, instruction="x" * 5000)]
    card = imported(tmp_path, "evol-instruct", rows)
    assert (card.pairs, card.dropped) == (1, {LONG: 1})


@pytest.fixture
def short_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST_BYTES", 2000)


# rows that do not fit

FIRST_JUDGED = "field llm_judgement.requirement_conformance: is no number"


def judged(score: str) -> str:
    return "{" + ", ".join(f'"{name}": {score}' for name in dataset_rows.JUDGED) + "}"


@pytest.mark.parametrize(
    ("name", "changed", "says"),
    [
        ("evol-instruct", {"response": None}, "field response: is null"),
        ("evol-instruct", {"response": 5}, "field response: is no text but a int: 5"),
        ("oss-instruct", {"index": "5"}, "field index: is no integer but a str: '5'"),
        ("oss-instruct", {"index": True}, "field index: is no integer but a bool: True"),
        ("open-coder", {"testcase": ["a", 1]}, "field testcase: is no list of texts"),
        ("open-code-instruct", {"llm_judgement": "5, 5"}, "field llm_judgement: holds no JSON: '5, 5'"),
        ("open-code-instruct", {"llm_judgement": "{}"}, "field llm_judgement.requirement_conformance: is no number"),
        ("open-code-instruct", {"tests_execution_status": "pass"}, "field tests_execution_status: holds no JSON"),
        ("open-code-instruct", {"tests_execution_status": '"a"'}, "field tests_execution_status: holds no JSON list"),
        ("open-code-instruct", {"unit_tests": "['assert f()']"}, "field unit_tests: holds no JSON"),
        ("open-code-instruct", {"average_test_score": "high"}, "field average_test_score: is no number: 'high'"),
        ("open-code-instruct", {"average_test_score": "nan"}, "field average_test_score: is no number"),
        ("open-code-instruct", {"average_test_score": "inf"}, "field average_test_score: is no number"),
        ("open-code-instruct", {"llm_judgement": judged("Infinity")}, FIRST_JUDGED),
        ("open-code-instruct", {"llm_judgement": judged("1e999")}, FIRST_JUDGED),
        ("open-code-instruct", {"llm_judgement": judged("9" * 401)}, FIRST_JUDGED),
        ("d3", {"metadata": {"max_stars_repo_licenses": "MIT"}}, "field max_stars_repo_licenses: is no list of texts"),
    ],
)  # fmt: skip
def test_a_row_that_does_not_fit_is_counted_apart(tmp_path: Path, name: str, changed: Row, says: str) -> None:
    card = imported(tmp_path, name, [MAKERS[name](0), MAKERS[name](1, **changed)])
    assert (card.pairs, card.dropped) == (1, {MISFIT: 1})
    assert card.examples_of_dropped[MISFIT].startswith(f"rows.jsonl line 2: {says}")


@pytest.mark.parametrize(("bad", "stops"), [(1, False), (2, True)])
def test_over_one_percent_of_rows_that_do_not_fit_stop_an_import(tmp_path: Path, bad: int, stops: bool) -> None:
    rows = [dataset_rows.evol_instruct(number) for number in range(150)]
    for number in range(bad):
        rows[40 + number] = {"instruction": "x" * 500}
    if not stops:
        assert imported(tmp_path, "evol-instruct", rows).dropped == {MISFIT: 1}
        return
    message = refused(tmp_path, "evol-instruct", rows)
    assert "2 of 100 rows" in message
    assert "rows.jsonl line 41: field response: is absent; rows.jsonl line 42" in message


def test_three_rows_are_shown_with_values_shortened(tmp_path: Path) -> None:
    rows: list[Row] = [{"instruction": [number] * 500, "response": ANSWER} for number in range(4)]
    message = refused(tmp_path, "evol-instruct", rows)
    assert "4 of 4 rows" in message
    assert [f"line {number}" in message for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert len(message) < 600


def test_rows_left_out_on_purpose_do_not_count_as_misfits(tmp_path: Path) -> None:
    rows = [dataset_rows.code_feedback(n, lang="go" if n else "python") for n in range(200)]
    assert imported(tmp_path, "code-feedback", rows).dropped == {OTHER_LANGUAGE: 199}


def test_a_file_of_another_dataset_is_refused(tmp_path: Path) -> None:
    assert "field query: is absent" in refused(tmp_path, "code-feedback", [dataset_rows.evol_instruct()])


def test_nothing_kept_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=NO_FENCE):
        imported(tmp_path, "evol-instruct", [dataset_rows.evol_instruct(response="no")])


PLAIN = "Please add a test for the second case."


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("evol-instruct", {"instruction": ANSWER, "response": PLAIN}),
        ("code-feedback", {"query": ANSWER, "answer": PLAIN}),
        ("open-code-instruct", {"input": ANSWER, "output": PLAIN}),
        ("commitpackft", {"message": CODE, "new_contents": PLAIN}),
        ("d3", {"prompt": "@@ -0,0 +1 @@\n+x = 1", "completion": PLAIN}),
    ],
)
@pytest.mark.parametrize("rows", [20, 150])
def test_confused_columns_are_noticed(tmp_path: Path, name: str, changed: Row, rows: int) -> None:
    assert "confused" in refused(tmp_path, name, [MAKERS[name](number, **changed) for number in range(rows)])


def test_answers_without_code_are_not_taken_for_confused_columns(tmp_path: Path) -> None:
    rows = [dataset_rows.evol_instruct(n, response=ANSWER if n < 5 else PLAIN) for n in range(150)]
    assert imported(tmp_path, "evol-instruct", rows).pairs == 5


# licences, evaluation sets


@pytest.mark.parametrize(("name", "license"), [("evol-instruct-80k", "CC-BY-NC-SA-4.0"), ("d3", "none named")])
def test_a_licence_must_be_accepted_and_this_is_recorded(tmp_path: Path, name: str, license: str) -> None:
    rows = [MAKERS[name]()]
    assert "--accept-licence" in refused(tmp_path, name, rows, accepted=False)
    assert imported(tmp_path, name, rows, accepted=True).made_from["accepted_license"] == license


def test_no_acceptance_is_recorded_where_none_is_needed(tmp_path: Path) -> None:
    card = imported(tmp_path, "evol-instruct", [dataset_rows.evol_instruct()], accepted=True)
    assert card.made_from["accepted_license"] is None


def test_instances_for_evaluation_are_not_trained_on(tmp_path: Path) -> None:
    assert "cra import" in refused(tmp_path, "swe-bench", [dataset_rows.swe_bench()])


@pytest.mark.parametrize(
    "changed",
    [
        {"FAIL_TO_PASS": ["t.py::a"], "PASS_TO_PASS": [], "created_at": 1700000000000},
        {"FAIL_TO_PASS": "['t.py::a']", "hints_text": None},
    ],
)
def test_instances_in_other_spellings_are_recognised(tmp_path: Path, changed: Row) -> None:
    row = dataset_rows.swe_bench(**changed)
    row["fail_to_pass"] = row.pop("FAIL_TO_PASS")
    found = inspected(tmp_path, [row, row | {"patch": None}])
    assert found.dataset is DATASETS["swe-bench"]
    assert (found.kept, dict(found.dropped)) == (1, {MISFIT: 1})


# looking at files


def test_missing_and_other_fields_are_told(tmp_path: Path) -> None:
    row = dataset_rows.oss_instruct(index="1", extra=1)
    del row["problem"]
    found = inspected(tmp_path, [row], "oss-instruct")
    assert found.alike[0].faults == {
        "field problem: is absent": 1, "field index: is no integer but a str": 1,
    }  # fmt: skip
    assert found.alike[0].unknown == ("extra",)
    assert "1 of 1 rows" in found.stopped


def test_a_file_like_no_dataset_is_told(tmp_path: Path) -> None:
    found = inspected(tmp_path, [{"a": 1}])
    assert (found.dataset, found.kept) == (None, 0)
