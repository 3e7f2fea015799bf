"""Programs from folders, files, repositories and rows; each that cannot be used is named and counted."""

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from exchange.programs import Offer, opened_programs
from models.errors import UsageError
from tests.support.mining_history import Entry, write_history
from training.data.sources.collections import Dropped
from training.data.sources.lintseq.recipe import SourceProgram

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy"


def offered(place: Path, cache: Path) -> list[Offer]:
    with opened_programs(place, cache / "cache") as programs:
        return list(programs.offers)


def kept(offers: list[Offer]) -> list[SourceProgram]:
    return [each for each in offers if isinstance(each, SourceProgram)]


def reasons(offers: list[Offer]) -> Counter[str]:
    return Counter(each.reason for each in offers if isinstance(each, Dropped))


def test_a_repository_gives_its_files_at_head_with_licence_and_owner(tmp_path: Path) -> None:
    files: dict[str | bytes, str | bytes | tuple[str, str] | None] = {
        "LICENSE": MIT,
        "pyproject.toml": '[project]\nname = "spans"\nversion = "1"\n',
        "src/spans/__init__.py": "x = 1\n",
        "link.py": ("120000", "src/spans/__init__.py"),
        "latin.py": b"# caf\xe9\n",
        "README.md": "x",
    }
    git = write_history(tmp_path / "any.git", [Entry("Add everything", files)])
    git.output("config", "remote.origin.url", "https://example.com/Owner/spans.git")
    offers = offered(tmp_path / "any.git", tmp_path)
    head = git.resolve("HEAD")
    assert kept(offers) == [
        SourceProgram(
            "x = 1\n",
            "src/spans/__init__.py",
            f"spans@{head}:src/spans/__init__.py",
            "spans",
            "owner",
            "unknown",
            "MIT",
            head,
        )
    ]
    assert reasons(offers) == {"a link": 1, "not UTF-8": 1}


def test_a_folder_of_odd_files_is_survived(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "good.py").write_bytes(b"x = 1\r\n")
    (folder / "line.py").write_text("x = '" + "a" * 10_000_000 + "'")
    (folder / "nul.py").write_bytes(b"x = 1\0\n")
    (folder / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
    (folder / "empty.py").touch()
    (folder / "text.txt").write_text("x = 1")
    (folder / "out.py").symlink_to("/etc/passwd")
    (folder / "loop.py").symlink_to("loop.py")
    os.mkfifo(folder / "pipe.py")
    (folder / "folder.py").mkdir()
    offers = offered(folder, tmp_path)
    assert [(each.path, each.text, each.license) for each in kept(offers)] == [("deep/good.py", "x = 1\r\n", "unknown")]
    assert reasons(offers) == {
        "longer than 50000 characters": 1,
        "holds a NUL": 1,
        "not UTF-8": 1,
        "empty": 1,
        "a link": 2,
        "cannot be read": 1,
    }


def test_rows_give_a_task_and_its_code(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Add.", "output": "def add(a, b):\n    return a + b", "license": "MIT"},
        {"problem": "Multiply.", "solution": "Here:\n\n```python\ndef mul(a, b):\n    return a * b\n```\n\nDone."},
        {"prompt": "Two.", "response": "```python\na = 1\n```\n```python\nb = 2\n```\n"},
        {"prompt": "Other.", "response": "```rust\nfn main() {}\n```\n"},
        {"prompt": "None.", "score": 1},
        {"input": "Number.", "output": 7},
        {"input": "Blank.", "output": " "},
        {"input": "NUL.", "code": "x = '\0'"},
        {"input": "Long.", "code": "x = 1\n" * 10_000},
        ["no", "object"],
    ]
    place = tmp_path / "rows.jsonl"
    place.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n<html>\n")
    offers = offered(place, tmp_path)
    assert [(each.task, each.text, each.license) for each in kept(offers)] == [
        ("Add.", "def add(a, b):\n    return a + b", "MIT"),
        ("Multiply.", "def mul(a, b):\n    return a * b\n", "unknown"),
    ]
    assert [each.row.partition(":")[2] for each in kept(offers)] == ["line-1", "line-2"]
    assert reasons(offers) == {
        "several blocks of code": 1,
        "no Python code": 1,
        "no column with code": 3,
        "holds a NUL": 1,
        "longer than 50000 characters": 1,
        "not a row": 3,
    }


def test_rows_come_from_parquet_too_and_one_that_is_cut_is_named(tmp_path: Path) -> None:
    place = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"input": ["Add.", "Sub."], "output": ["a = 1", "b = 2"]}), place)
    assert [each.task for each in kept(offered(place, tmp_path))] == ["Add.", "Sub."]
    place.write_bytes(place.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"rows\.parquet"):
        offered(place, tmp_path)


def test_a_file_of_python_is_a_source_and_others_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "one.py"
    place.write_text("x = 1\n")
    assert [each.path for each in kept(offered(place, tmp_path))] == ["one.py"]
    (tmp_path / "notes.txt").write_text("x = 1")
    for name in ("notes.txt", "nowhere"):
        with pytest.raises(UsageError, match=name):
            offered(tmp_path / name, tmp_path)
