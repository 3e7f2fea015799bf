"""Programs from folders, files, repositories and rows; each that cannot be used is named and counted."""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from exchange.programs import Offer, Programs, opened_programs
from harness.packages.contents import shared_content
from harness.packages.sample import build_sample
from models.errors import UsageError
from tests.support.mining_history import Entry, write_history
from training.data.sources.collections import Dropped
from training.data.sources.lintseq.recipe import SourceProgram

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy"


def opened(place: Path, cache: Path, accepted: bool = False) -> tuple[Programs, list[Offer]]:
    with opened_programs(place, cache / "cache", accepted) as programs:
        return programs, list(programs.offers)


def offered(place: Path, cache: Path, accepted: bool = False) -> list[Offer]:
    return opened(place, cache, accepted)[1]


def checked_out(folder: Path) -> Path:
    """A work tree of the sample."""
    subprocess.run(["git", "clone", "-q", str(build_sample(folder / "sample")), str(folder / "spans")], check=True)
    return folder / "spans"


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
        {"input": "No end.", "code": "```python\nx = 1\n"},
        {"input": "Growing fences.", "code": "\n".join("`" * length for length in range(3, 300))},
    ]
    place = tmp_path / "rows.jsonl"
    place.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n<html>\n")
    offers = offered(place, tmp_path, accepted=True)
    assert [(each.task, each.text, each.license) for each in kept(offers)] == [
        ("Add.", "def add(a, b):\n    return a + b", "MIT"),
        ("Multiply.", "def mul(a, b):\n    return a * b\n", "unknown"),
    ]
    assert [each.row.partition(":")[2] for each in kept(offers)] == ["line-1", "line-2"]
    assert reasons(offers) == {
        "several blocks of code": 2,
        "no Python code": 1,
        "no column with code": 3,
        "holds a NUL": 1,
        "longer than 50000 characters": 1,
        "not a row": 3,
        "code fence without an end": 1,
    }


def test_the_licence_of_a_row_is_known_and_allows_every_use(tmp_path: Path) -> None:
    told: list[object] = ["mit", ["MIT", "Apache-2.0"], "CC-BY-NC-4.0", "my own", None, "", 7, ["MIT", 1], "x" * 5000]
    place = tmp_path / "rows.jsonl"
    rows = [{"input": "One.", "output": "x = 1", "license": each} for each in told]
    place.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"output": "x = 1", "licenses": ["ISC"]}]))
    for accepted in (False, True):
        offers = offered(place, tmp_path, accepted)
        assert [each.license for each in kept(offers)] == ["MIT", "Apache-2.0 AND MIT", "ISC"]
        assert reasons(offers) == {"licence unknown": 6, "licence forbids commercial use or changes": 1}


def test_rows_without_a_licence_are_refused_as_a_whole_unless_they_are_accepted(tmp_path: Path) -> None:
    place = tmp_path / "rows.jsonl"
    place.write_text('{"input": "a", "output": "x = 1", "license": "MIT"}\n{"input": "b", "output": "x = 2"}\n')
    with pytest.raises(UsageError, match=r"line 2 .*cra datasets import.*--accept-licence"):
        offered(place, tmp_path)
    assert [each.license for each in kept(offered(place, tmp_path, accepted=True))] == ["MIT", "unknown"]


def test_a_path_in_a_work_tree_gives_what_its_repository_has_there(tmp_path: Path) -> None:
    tree = checked_out(tmp_path)
    whole, everything = opened(tree, tmp_path)
    inner = next(each for each in kept(everything) if "/" in each.path)
    folder = inner.path.partition("/")[0]
    (tree / folder / "untracked.py").write_text("x = 1\n")
    (tmp_path / "link").symlink_to(tree / folder)
    expected = [each for each in kept(everything) if each.path.startswith(f"{folder}/")]
    for place, found in ((tree / folder, expected), (tmp_path / "link", expected), (tree / inner.path, [inner])):
        programs, offers = opened(place, tmp_path)
        assert (programs.name, programs.state, programs.content) == (whole.name, whole.state, whole.content)
        assert kept(offers) == found != []
    assert {each.commit for each in expected} == {whole.state}


def test_code_without_a_repository_is_known_by_its_content(tmp_path: Path) -> None:
    sample = checked_out(tmp_path)
    whole, everything = opened(sample, tmp_path)
    copied, ignored = tmp_path / "mine", sample / "ignored"
    for folder in (copied, ignored):  # the second one lies in a work tree that does not have it
        folder.mkdir()
        for number, each in enumerate(kept(everything)):
            (folder / f"{number}.py").write_text(each.text)
    largest = tmp_path / "one.py"
    largest.write_text(max((each.text for each in kept(everything)), key=len))
    assert whole.content is not None
    for place in (copied, ignored, largest):
        programs, offers = opened(place, tmp_path)
        assert programs.content is not None
        assert programs.name in ("mine", "ignored", "one")
        assert shared_content(programs.content, whole.content)
        assert {each.commit for each in kept(offers)} == {""}


def test_a_repository_in_a_folder_is_told_and_passed(tmp_path: Path) -> None:
    folder = tmp_path / "several"
    folder.mkdir()
    (folder / "own.py").write_text("x = 1\n")
    shutil.copytree(checked_out(tmp_path), folder / "inner")
    write_history(folder / "bare.git", [Entry("Add x", {"x.py": "x = 1\n"})])
    offers = offered(folder, tmp_path)
    assert [each.path for each in kept(offers)] == ["own.py"]
    assert reasons(offers) == {"in another repository": 2}


def test_generated_and_vendored_files_are_left_out(tmp_path: Path) -> None:
    files: dict[str | bytes, str | bytes | tuple[str, str] | None] = {
        "src/a.py": "x = 1\n",
        "src/_vendor/six.py": "x = 1\n",
        "vendor/b.py": "x = 1\n",
        "third_party/c.py": "x = 1\n",
        "src/proto.py": "# Generated by a compiler. DO NOT EDIT!\nx = 1\n",
    }
    write_history(tmp_path / "any.git", [Entry("Add everything", files)])
    subprocess.run(["git", "clone", "-q", str(tmp_path / "any.git"), str(tmp_path / "tree")], check=True)
    shutil.copytree(tmp_path / "tree", tmp_path / "plain", ignore=shutil.ignore_patterns(".git"))
    for place in ("any.git", "tree", "plain"):
        offers = offered(tmp_path / place, tmp_path)
        assert [each.path for each in kept(offers)] == ["src/a.py"]
        assert reasons(offers) == {"generated or vendored": 4}


def test_rows_come_from_parquet_too_and_one_that_is_cut_is_named(tmp_path: Path) -> None:
    place = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"input": ["Add.", "Sub."], "output": ["a = 1", "b = 2"]}), place)
    assert [each.task for each in kept(offered(place, tmp_path, accepted=True))] == ["Add.", "Sub."]
    place.write_bytes(place.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"rows\.parquet"):
        offered(place, tmp_path, accepted=True)


def test_a_file_of_python_is_a_source_and_others_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "one.py"
    place.write_text("x = 1\n")
    assert [each.path for each in kept(offered(place, tmp_path))] == ["one.py"]
    (tmp_path / "notes.txt").write_text("x = 1")
    for name in ("notes.txt", "nowhere"):
        with pytest.raises(UsageError, match=name):
            offered(tmp_path / name, tmp_path)
