"""Rows of public data sets: every spelling is read, nothing absent is read as empty, a bad row does not cost others."""

import csv
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.import_ import import_
from exchange.prediction_rows import read_prediction_file
from exchange.spellings import listed_tests, normalised
from exchange.swebench import SweInstance, import_instances, read_instances
from models.errors import UsageError

DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
PLAIN: dict[str, Any] = {
    "repo": "me/lib", "instance_id": "me__lib-1", "base_commit": "a" * 40, "patch": DIFF, "test_patch": DIFF,
    "problem_statement": "Do it", "hints_text": "", "created_at": "2023-01-02T03:04:05Z", "version": "1.2",
    "environment_setup_commit": "b" * 40,
}  # fmt: skip
F2P, P2P = ["tests/test_a.py::test_x[1, 'b']", 'tests/test_a.py::test_"y"'], ["tests/test_b.py::test_z"]
LISTS = {"FAIL_TO_PASS": F2P, "PASS_TO_PASS": P2P}
SWE = PLAIN | {name: json.dumps(tests) for name, tests in LISTS.items()}


def read(row: dict[str, Any]) -> SweInstance:
    (instance,) = import_instances([json.dumps(row)])
    return instance


def refused(row: dict[str, Any]) -> str:
    with pytest.raises(UsageError) as caught:
        import_instances([json.dumps(row)])
    assert "\n" not in str(caught.value)
    return str(caught.value)


# the lists of tests


@pytest.mark.parametrize(
    ("fail", "good"),
    [
        ("FAIL_TO_PASS", "PASS_TO_PASS"),
        ("fail_to_pass", "pass_to_pass"),
        ("FailToPass", "PassToPass"),
        ("F2P", "P2P"),
        ("f2p", "p2p"),
        ("FAIL2PASS", "PASS2PASS"),
        ("f2p_tests", "p2p_tests"),
        ("tests_fail_to_pass", "tests_pass_to_pass"),
    ],
)
@pytest.mark.parametrize("form", [json.dumps, list, str, lambda tests: json.dumps(json.dumps(tests))])
def test_every_name_and_form_of_the_lists_is_read(fail: str, good: str, form: Any) -> None:
    instance = read(PLAIN | {fail: form(F2P), good: form(P2P)})
    assert (list(instance.FAIL_TO_PASS), list(instance.PASS_TO_PASS)) == (F2P, P2P)


@pytest.mark.parametrize(
    ("value", "tests"),
    [
        (numpy.array(F2P, dtype=object), F2P),
        (str(numpy.array(["a::b", "c::d e"])), ["a::b", "c::d e"]),
        (repr(numpy.array(F2P, dtype=object)), F2P),
        (repr([numpy.str_("a::b"), numpy.str_("c")]), ["a::b", "c"]),
        ("['a'\n 'b'\n \"c'd\"]", ["a", "b", "c'd"]),
        (tuple(F2P), F2P),
        (str(tuple(F2P)), F2P),
        ("[]", []),
        ("a::b\r\nc::d\n", ["a::b", "c::d"]),
        ("a::b", ["a::b"]),
        ("a::b[1,2], c::d", ["a::b[1,2]", "c::d"]),
        ({"a::b": {"run": "FAIL", "test": "FAIL", "fix": "PASS"}, "of another row": None}, ["a::b"]),
        (str({"a::b": {"run": "FAIL"}}), ["a::b"]),
        ({"name": ["a", "b"], "fix": ["PASS", "PASS"], "run": ["FAIL", "FAIL"]}, ["a", "b"]),
        ({"test": ["a", "b"]}, ["a", "b"]),
        ({}, []),
    ],
)
def test_tests_in_other_forms_are_read(value: Any, tests: list[str]) -> None:
    assert listed_tests("f2p", value) == tests


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_a_printed_list_is_read_as_it_was(tests: list[str]) -> None:
    assert listed_tests("f2p", repr(tests)) == listed_tests("f2p", json.dumps(tests)) == tests
    assert listed_tests("f2p", repr(numpy.array(tests, dtype=object)) if tests else "[]") == tests


@pytest.mark.parametrize(
    "value", ["[oops", "['a' ... 'b']", "['a', None]", "[[['", 3, True, {"a": 1}, "{'a': 1}", "[" * 9999]
)
def test_what_is_no_list_of_tests_is_refused_with_its_field(value: Any) -> None:
    assert "line 1: field f2p" in refused(PLAIN | {"f2p": value, "p2p": []})


@pytest.mark.parametrize("absent", [None, "", "None", "nan", float("nan")])
@pytest.mark.parametrize("name", ["FAIL_TO_PASS", "PASS_TO_PASS"])
def test_an_absent_list_is_refused_and_never_read_as_empty(name: str, absent: Any) -> None:
    assert f"line 1: field {name}" in refused(SWE | {name: absent})
    assert f"line 1: field {name}" in refused({key: value for key, value in SWE.items() if key != name})


def test_a_null_beside_a_list_of_another_spelling_does_not_hide_it() -> None:
    assert read(SWE | {"FAIL_TO_PASS": None, "fail_to_pass": ["a"]}).FAIL_TO_PASS == ("a",)
    assert read({"fail_to_pass": ["a"]} | SWE | {"FAIL_TO_PASS": None}).FAIL_TO_PASS == ("a",)


def test_lists_that_are_there_and_empty_are_empty() -> None:
    assert read(PLAIN | {"FAIL_TO_PASS": [], "PASS_TO_PASS": "[]"}).FAIL_TO_PASS == ()


# the other fields


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"version": None}, "version", ""),
        ({"version": 4.0}, "version", "4.0"),
        ({"version": 3}, "version", "3"),
        ({"hints_text": None}, "hints_text", ""),
        ({"hints_text": ["a", "b"]}, "hints_text", "a\nb"),
        ({"environment_setup_commit": None}, "environment_setup_commit", ""),
        ({"test_patch": None}, "test_patch", ""),
        ({"created_at": None}, "created_at", ""),
        ({"created_at": 1672628645}, "created_at", "2023-01-02T03:04:05Z"),
        ({"created_at": 1672628645000}, "created_at", "2023-01-02T03:04:05Z"),
        ({"created_at": 1672628645.0}, "created_at", "2023-01-02T03:04:05Z"),
        ({"created_at": "1672628645000"}, "created_at", "2023-01-02T03:04:05Z"),
        ({"created_at": "2023-01-02 03:04:05"}, "created_at", "2023-01-02 03:04:05"),
        ({"base_commit": None, "base": "C" * 40}, "base_commit", "c" * 40),
        ({"base_commit": None, "base": {"label": "x:main", "ref": "main", "sha": "d" * 40}}, "base_commit", "d" * 40),
        ({"base_commit": None, "base": "main", "parent_commit": "e" * 40}, "base_commit", "e" * 40),
        ({"base_commit": "", "parent": "HEAD~1", "base": "f" * 12}, "base_commit", "f" * 12),
        ({"patch": None, "gold_patch": DIFF}, "patch", DIFF),
        ({"patch": None, "golden_patch": DIFF}, "patch", DIFF),
        ({"repo": None, "repository": "a/b"}, "repo", "a/b"),
        ({"instance_id": 17}, "instance_id", "17"),
        ({"problem_statement": "none"}, "problem_statement", "none"),
    ],
)
def test_fields_of_other_types_and_names_are_read(change: dict[str, Any], field: str, value: str) -> None:
    assert getattr(read(SWE | change), field) == value


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"created_at": -5}, "created_at"),
        ({"created_at": 1e300}, "created_at"),
        ({"created_at": True}, "created_at"),
        ({"created_at": {"a": 1}}, "created_at"),
        ({"base_commit": "main"}, "base_commit"),
        ({"base_commit": None}, "base_commit"),
        ({"patch": None}, "patch"),
        ({"problem_statement": None}, "problem_statement"),
        ({"version": {"a": 1}}, "version"),
        ({"repo": 5}, "repo"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(change: dict[str, Any], field: str) -> None:
    assert f"line 1: field {field}" in refused(SWE | change)


# whole rows of public data sets

MULTI = {
    "org": "me", "repo": "lib", "number": 7, "state": "closed", "title": "PR", "body": "of it",
    "base": {"label": "me:main", "ref": "main", "sha": "a" * 40},
    "resolved_issues": [{"number": 1, "title": "It fails", "body": "When run."}],
    "fix_patch": DIFF, "test_patch": DIFF,
    "fixed_tests": {"t1": {}, "t2": {}, "t3": {}}, "p2p_tests": {"p": {"run": "PASS", "test": "PASS", "fix": "PASS"}},
    "f2p_tests": {"t1": {"run": "PASS", "test": "FAIL", "fix": "PASS"}}, "s2p_tests": {"t2": {"run": "SKIP"}},
    "n2p_tests": {"t3": {"run": "NONE"}}, "lang": "java",
}  # fmt: skip


def test_a_row_of_multi_swe_bench() -> None:
    instance = read(MULTI)
    assert (instance.repo, instance.instance_id, instance.base_commit) == ("me/lib", "me__lib-7", "a" * 40)
    assert (instance.FAIL_TO_PASS, instance.PASS_TO_PASS) == (("t1", "t2", "t3"), ("p",))
    assert instance.problem_statement == "It fails\nWhen run."
    columns = MULTI | {"resolved_issues": {"number": [1], "title": ["It fails"], "body": ["When run."]}}
    assert read(columns | {"f2p_tests": {"name": ["t1"], "fix": ["PASS"]}}) == instance


@pytest.mark.parametrize(
    "row",
    [
        SWE,
        SWE | {"difficulty": "<15 min fix", "image_assets": '{"patch": []}'},
        PLAIN | LISTS | {"install_config": {"install": ["pip"]}, "meta": {"is_lite": True}, "FAIL_TO_FAIL": []},
        PLAIN | LISTS | {"created_at": 1672628645000, "language": "python", "meta": {"llm_metadata": [{"code": "A"}]}},
        {**PLAIN, "F2P": str(F2P), "P2P": str(P2P), "Dockerfile": "FROM x", "language": "Java", "test_command": "mvn"},
        {**PLAIN, "fail_to_pass": str(F2P), "pass_to_pass": str(P2P), "repo_language": "go", "dockerhub_tag": "t"},
        {"row_idx": 0, "row": SWE, "truncated_cells": []},
        {"responses_create_params": {"input": [], "metadata": {"instance_id": "me__lib-1",
         "instance_dict": json.dumps(SWE)}}, "agent_ref": {"name": "swe"}},
    ],
)  # fmt: skip
def test_rows_as_public_data_sets_have_them(row: dict[str, Any]) -> None:
    instance = read(row)
    assert (instance.instance_id, list(instance.FAIL_TO_PASS), list(instance.PASS_TO_PASS)) == ("me__lib-1", F2P, P2P)
    assert instance.created_at == "2023-01-02T03:04:05Z"


def test_what_holds_no_instances_is_refused() -> None:
    row = {"repo_name": "numpy", "commit_hash": "a" * 40, "docker_image": "x", "problem_statement": "p",
           "expected_output_json": "{}", "messages": [{"role": "user", "content": "c"}]}  # fmt: skip
    assert "field instance_id" in refused(row)
    assert "FAIL_TO_PASS" in refused(row)


def test_a_patch_that_makes_the_bug_is_not_taken_for_the_one_that_mends_it() -> None:
    row = {"instance_id": "s", "repo": "swesmith/me__lib.1a2b3c4d", "patch": DIFF, "image_name": "i",
           "problem_statement": "p", **LISTS}  # fmt: skip
    assert "the patch of a SWE-smith row makes the bug" in refused(row)
    assert read(row | {"base_commit": "a" * 40}).repo == "swesmith/me__lib.1a2b3c4d"


# files


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_columnar(rows: list[dict[str, Any]], kind: str) -> bytes:
    import pyarrow
    from pyarrow import ipc, parquet

    table, sink = pyarrow.Table.from_pylist(rows), io.BytesIO()
    if kind == "parquet":
        parquet.write_table(table, sink)
    else:
        with ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


ROWS = [SWE | {"instance_id": f"i{n}", "problem_statement": "ü\u2028 line\nline\r\n" * 9000} for n in range(3)]
LINES = "\n".join(map(json.dumps, ROWS)).encode()
BY_ID = {row["instance_id"]: row for row in ROWS}
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", LINES),
        ("a.json", LINES),
        ("a", LINES),
        ("a.jsonl", b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n\r\n")),
        ("a.jsonl", LINES.decode().encode("utf-16")),
        ("a.json", json.dumps(ROWS, indent=1).encode("utf-8-sig")),
        ("a.json", json.dumps(ROWS, ensure_ascii=False).encode()),
        ("a.txt", json.dumps(ROWS).encode()),
        ("a.json", json.dumps({"rows": [{"row_idx": 0, "row": row} for row in ROWS]}).encode()),
        ("a.json", json.dumps(BY_ID).encode()),
        ("a.json", json.dumps(COLUMNS).encode()),
        ("a.json", json.dumps({name: dict(enumerate(column)) for name, column in COLUMNS.items()}).encode()),
        ("a.csv", as_csv(ROWS)),
        ("a.csv", b"\xef\xbb\xbf" + as_csv([row | LISTS for row in ROWS])),
        ("a.parquet", as_columnar(ROWS, "parquet")),
        ("a.parquet", as_columnar([row | LISTS for row in ROWS], "parquet")),
        ("a.arrow", as_columnar(ROWS, "arrow")),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_format_gives_the_same_instances(tmp_path: Path, name: str, data: bytes, packed: bool) -> None:
    file = tmp_path / (name + (".gz" if packed else ""))
    file.write_bytes(gzip.compress(data) if packed else data)
    imported = read_instances(file)
    assert imported.refused == []
    assert imported.instances == import_instances(map(json.dumps, ROWS))


def test_a_single_object_is_one_instance(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(SWE, indent=2))
    assert read_instances(tmp_path / "a.json").instances == [read(SWE)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", b""),
        ("a.json", b"\n \n"),
        ("a.json", b"[]"),
        ("a.json", b"[1, 2"),
        ("a.csv", b"repo,instance_id\n\xff\xfe,b\n"),
        ("a.csv", b"a,b\n"),
        ("a.csv", b'a,b\n"x'),
        ("a.json", '["é"]'.encode("latin-1")),
        ("a.jsonl", json.dumps(SWE, ensure_ascii=False).replace("Do", "é").encode("latin-1")),
        ("a.jsonl.gz", gzip.compress(LINES)[:-20]),
        ("a.parquet", b"PAR1 and no more"),
        ("a.json", b"[" * 100_000),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"),
        ("a.jsonl.xz", lzma.compress(LINES)),
        ("a.json", b"<!DOCTYPE html>\n<html></html>"),
        ("a.jsonl", json.dumps(PLAIN).encode()),
    ],
)
def test_a_file_without_an_instance_is_one_error_of_one_line(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_instances(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_rows_among_many_are_counted_and_the_others_kept(tmp_path: Path) -> None:
    import typer

    rows = [json.dumps(SWE).encode(), b"{oops", json.dumps(PLAIN | {"instance_id": "x"}).encode(), b"\xff\xfe{}",
            json.dumps(SWE).encode(), json.dumps(SWE | {"instance_id": "y"}).encode()]  # fmt: skip
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\n".join(rows))
    instances, refused = read_instances(file)
    assert [each.instance_id for each in instances] == ["me__lib-1", "y"]
    assert [each.split(" ")[:2] for each in refused] == [["line", "2"], ["line", "3:"], ["line", "4"], ["line", "5:"]]
    app = typer.Typer()
    app.command()(import_)
    shown = CliRunner().invoke(app, [str(file), "--json"])
    assert shown.exit_code == 1
    assert [each["instance_id"] for each in json.loads(shown.stdout)] == ["me__lib-1", "y"]
    assert all(reason[:20] in shown.stderr for reason in refused)
    assert "4 rows refused of 6" in shown.stderr


def test_a_row_of_a_table_that_lost_fields_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(as_csv([SWE]) + b"me/lib,short\r\n")
    instances, refused = read_instances(tmp_path / "a.csv")
    assert len(instances) == 1
    assert refused == ["row 2 has fewer fields than the header"]


# predictions


@pytest.mark.parametrize(
    "value",
    [
        [{"instance_id": "a", "model_patch": DIFF, "model_name_or_path": "m"}],
        {"a": {"instance_id": "a", "model_patch": DIFF, "model_name_or_path": "m"}},
        {"a": {"model_patch": DIFF, "model_name_or_path": "m"}},
        [{"instance_id": "a", "test_result": {"git_patch": DIFF}, "model_name_or_path": "m"}],
        [{"instance_id": "a", "prediction": DIFF, "model": "m"}],
    ],
)
def test_predictions_are_read_in_the_forms_of_agents(tmp_path: Path, value: Any) -> None:
    (tmp_path / "preds.json").write_text(json.dumps(value))
    (found,) = read_prediction_file(tmp_path / "preds.json")
    assert (found.instance_id, found.model_patch, found.model_name_or_path) == ("a", DIFF, "m")


@pytest.mark.parametrize("data", [b'{"instance_id": "a"}', b'{"instance_id": "\xe9", "model_patch": ""}', b"", b"[1]"])
def test_what_is_no_prediction_is_an_error_of_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "preds.jsonl").write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_prediction_file(tmp_path / "preds.jsonl")
    assert "\n" not in str(caught.value)


def test_normalising_takes_nothing_from_the_row() -> None:
    row = SWE | {"extra": {"a": 1}}
    before = json.dumps(row)
    normalised(row)
    assert json.dumps(row) == before
