"""The fail-fast score of repositories and folders: which files count, what is skipped, and that of this project."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from harness.mining.fail_fast import ScoredTree, score_place
from models.errors import CleanRoomError, UsageError
from repos.index.error_handling import Measure
from repos.index.parse import MAX_BYTES
from tests.support.commands import invoke as cra
from tests.support.mining_history import entry, write_history

ROOT = Path(__file__).parent.parent.parent
ROOMS = (
    "models", "host", "store", "llm", "repos", "agent", "runtime", "harness", "evals", "training", "exchange", "tasks",
    "flows", "cli",
)  # fmt: skip
SILENT = "def f():\n    try:\n        g()\n    except:\n        pass\n"
FILES = {
    "src/a.py": SILENT,
    "src/b.py": "def f(d):\n    if not d:\n        raise OwnError\n    return d['k']\n",
    "tests/test_a.py": SILENT,
    "checks/check_a.py": SILENT,
    "vendor/c.py": SILENT,
    "src/made.py": "# @generated\n" + SILENT,
    "docs/conf.py": SILENT,
    "src/old.py": "print 'x'\n",
    "src/a.js": "try { f() } catch {}\n",
    "pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["checks"]\n',
}


def written(folder: Path) -> Path:
    for path, text in FILES.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder


def paths(tree: ScoredTree) -> list[str]:
    return [file.path for file in tree.files]


def test_a_bare_clone_its_work_tree_and_a_folder_give_the_same(tmp_path: Path) -> None:
    bare = write_history(tmp_path / "bare.git", [entry("Add", FILES)]).directory
    subprocess.run(["git", "clone", "-q", str(bare), str(tmp_path / "tree")], check=True)
    (tmp_path / "tree" / "src" / "not_tracked.py").write_text(SILENT)
    found = [
        score_place(place, tmp_path / "cache") for place in (bare, tmp_path / "tree", written(tmp_path / "folder"))
    ]
    assert [tree.commit is None for tree in found] == [False, False, True]
    for tree in found:
        assert paths(tree) == ["src/a.py", "src/b.py"]
        assert [path for path, _ in tree.skipped] == ["src/old.py"]
        assert tree.left_out == {"tests": 2, "generated or vendored": 2, "documentation or configuration": 1}
        assert tree.score == found[0].score
        assert [(path, fault.line) for path, fault in tree.faults()] == [("src/a.py", 4), ("src/a.py", 4)]
    assert (found[0].handling.good[Measure.BARE], found[0].handling.chances[Measure.BARE]) == (0, 1)


def test_a_file_that_is_named_is_scored_whatever_it_is(tmp_path: Path) -> None:
    file = tmp_path / "test_a.py"
    file.write_text(SILENT)
    assert paths(score_place(file, tmp_path / "cache")) == ["test_a.py"]


def test_links_pipes_and_environments_of_a_folder_are_passed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(SILENT)
    folder = tmp_path / "folder"
    (folder / "env" / "lib").mkdir(parents=True)
    (folder / "env" / "pyvenv.cfg").touch()
    (folder / "env" / "lib" / "x.py").write_text(SILENT)
    (folder / "kept.py").write_text(SILENT)
    (folder / "link.py").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.py")
    os.mkfifo(folder / "pytest.ini")
    assert paths(score_place(folder, tmp_path / "cache")) == ["kept.py"]
    with pytest.raises(UsageError):
        score_place(folder / "pipe.py", tmp_path / "cache")


def test_links_and_submodules_of_a_repository_are_passed(tmp_path: Path) -> None:
    history = entry("Add", {"a.py": SILENT})
    history.files["link.py"] = ("120000", "/etc/passwd")
    history.files["module.py"] = ("160000", "1" * 40)
    git = write_history(tmp_path / "r.git", [history])
    assert paths(score_place(git.directory, tmp_path / "cache")) == ["a.py"]


def test_folders_of_any_depth_are_read(tmp_path: Path) -> None:
    """As far as the system takes their paths."""
    inner = "a/" * 1200
    subprocess.run(["mkdir", "-p", tmp_path / "folder" / inner], check=True)
    (tmp_path / "folder" / inner / "b.py").write_text(SILENT)
    found = paths(score_place(tmp_path / "folder", tmp_path / "cache"))
    subprocess.run(["rm", "-r", tmp_path / "folder"], check=True)  # deeper than pytest removes
    assert found == [f"{inner}b.py"]


@pytest.mark.parametrize(
    "content",
    [
        b"x = 1\n" * (10_000_000 // 6),
        b"x = 1\0\n",
        b"x = '\xff'\n",
        b"x = " + b"(" * 5000 + b")" * 5000,
        b"x = " + b"-" * 200_000 + b"1\n",
    ],
    ids=["huge", "nul", "undecodable", "nested", "signs"],
)
def test_a_file_that_cannot_be_read_is_skipped_and_named(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "bad.py").write_bytes(content)
    (folder / "good.py").write_text(SILENT)
    tree = score_place(folder, tmp_path / "cache")
    assert paths(tree) == ["good.py"]
    ((path, reason),) = tree.skipped
    assert path == "bad.py"
    assert reason and "\n" not in reason
    assert len(content) <= MAX_BYTES or str(MAX_BYTES) in reason


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    for place in (tmp_path / "nowhere", Path("a\0b")):
        with pytest.raises(CleanRoomError):
            score_place(place, tmp_path / "cache")


def test_the_command_prints_measures_files_and_lines(tmp_path: Path) -> None:
    folder = written(tmp_path / "folder")
    (found,) = json.loads(cra("fail-fast", "score", folder, "--json", cwd=tmp_path).stdout)
    assert found["measures"]["bare-except"] == {"weight": 20, "good": 0, "of": 1, "value": 0.4}
    assert [(line["path"], line["line"], line["measure"]) for line in found["lines"]] == [
        ("src/a.py", 4, "bare-except"), ("src/a.py", 4, "try-except-pass"),
    ]  # fmt: skip
    assert [file["path"] for file in found["files"]] == ["src/a.py", "src/b.py"]
    shown = cra("fail-fast", "score", folder, folder / "src", "--lines", "1", cwd=tmp_path).stdout
    assert "src/a.py:4" in shown
    refused = cra("fail-fast", "score", "nowhere", cwd=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


@pytest.mark.slow
def test_this_project_fails_fast(tmp_path: Path) -> None:
    """By the scorer's own threshold of a strong example."""
    total = ScoredTree(ROOT)
    for room in ROOMS:
        tree = score_place(ROOT / room, tmp_path)
        assert tree.files, room
        assert tree.skipped == [], room
        total.files += tree.files
    assert total.score >= 75
    assert total.handling.bad(Measure.BARE) == 0
