"""Rows of public datasets in their true schemas, made here, and files of them."""

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
CODE = "def double(x):\n    return 2 * x\n"
ANSWER = f"Here it is:\n\n```python\n{CODE}```\n\nIt doubles."
JUDGED = ("requirement_conformance", "logical_correctness", "edge_case_consideration")
STACK = {
    "hexsha": "ab" * 20, "size": 40, "ext": "py", "lang": "Python", "max_stars_repo_path": "pkg/maths.py",
    "max_stars_repo_name": "someone/maths", "max_stars_repo_licenses": ["MIT"], "max_stars_count": None,
    "avg_line_length": 12.5, "max_line_length": 20, "alphanum_fraction": 0.5, "source": "starcoderdata",
}  # fmt: skip


def open_code_instruct(number: int = 0, **changed: Any) -> Row:
    judgement = {name: {"score": 5, "justification": "it does"} for name in JUDGED}
    return {
        "id": f"id{number}", "input": f"Write a function that doubles, variant {number}.", "output": ANSWER,
        "domain": "generic", "generation_algorithm": "self-instruct", "llm_judgement": json.dumps(judgement),
        "unit_tests": json.dumps(["assert double(1) == 2"] * 10),
        "tests_execution_status": json.dumps(["pass"] * 10), "average_test_score": "1",
    } | changed  # fmt: skip


def commitpackft(number: int = 0, **changed: Any) -> Row:
    return {
        "commit": f"{number:040x}", "old_file": "pkg/a.py", "new_file": "pkg/a.py",
        "old_contents": "def one():\n    return 1\n", "new_contents": f"def one():\n    return {number + 2}\n",
        "subject": "Return another number", "message": "Return another number\n\nIt was wrong.\n", "lang": "Python",
        "license": "mit", "repos": "me/lib,you/lib,me/lib",
    } | changed  # fmt: skip


def code_feedback(number: int = 0, **changed: Any) -> Row:
    return {
        "query": f"Please double, variant {number}.", "answer": ANSWER, "resource": "evolinstruct", "lang": "python",
    } | changed  # fmt: skip


def oss_instruct(number: int = 0, **changed: Any) -> Row:
    return {
        "lang": "python", "raw_index": number, "index": number, "seed": "x = 1", "openai_fingerprint": "fp",
        "problem": f"Double, variant {number}.", "solution": ANSWER,
    } | changed  # fmt: skip


def oss_instruct_responses(number: int = 0, **changed: Any) -> Row:
    row = oss_instruct(number)
    row |= {"instruction": row.pop("problem"), "response": row.pop("solution")}
    return row | changed


def evol_instruct(number: int = 0, **changed: Any) -> Row:
    return {"instruction": f"Double, variant {number}.", "response": ANSWER} | changed


def evol_instruct_80k(number: int = 0, **changed: Any) -> Row:
    return {"instruction": f"Double, variant {number}.", "output": ANSWER} | changed


def open_coder(number: int = 0, **changed: Any) -> Row:
    return {
        "seq_id": number, "instruction": f"Double, variant {number}.", "output": ANSWER, "code": CODE,
        "entry_point": "double", "testcase": ["assert double(1) == 2"], "tag": "educational",
    } | changed  # fmt: skip


def d3(number: int = 0, **changed: Any) -> Row:
    start = "import os\n\n\ndef one():\n    return 1\n"
    completion = f"@@ -1 +0,0 @@\n-import os\n<|diff|>@@ -4,0 +5,3 @@\n+\n+def two():\n+    return {number}"
    return {
        "prompt": f"Add a second function, variant {number}.", "completion": completion, "program_start": start,
        "lines_changed": 4, "source_program_id": number, "metadata": dict(STACK),
    } | changed  # fmt: skip


def swe_bench(number: int = 0, **changed: Any) -> Row:
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    return {
        "repo": "me/lib", "instance_id": f"me__lib-{number}", "base_commit": "a" * 40, "patch": diff,
        "test_patch": diff, "problem_statement": "It is wrong.", "hints_text": "",
        "created_at": "2023-01-02T03:04:05Z", "version": "1.2", "FAIL_TO_PASS": json.dumps(["t.py::a"]),
        "PASS_TO_PASS": "[]", "environment_setup_commit": "b" * 40,
    } | changed  # fmt: skip


MAKERS: dict[str, Callable[..., Row]] = {
    "open-code-instruct": open_code_instruct, "commitpackft": commitpackft, "code-feedback": code_feedback,
    "oss-instruct": oss_instruct, "evol-instruct": evol_instruct, "evol-instruct-80k": evol_instruct_80k,
    "open-coder": open_coder, "d3": d3, "swe-bench": swe_bench,
}  # fmt: skip


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """Write rows in the format that a file's name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
        return path
    whole = path.name.removesuffix(".gz").endswith(".json")
    text = json.dumps(list(rows), indent=1) if whole else "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path
