"""A work tree on disk: nothing is followed out of it, and its patch is one that git applies."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.runs.workspace import TreeWorkspace
from models.edits import CreateFile, DeleteFile, Edit, RenameFile, SearchReplace
from models.errors import EditError, InfrastructureError
from models.files import FileContent
from models.suite import SuiteEnd, SuiteReport
from repos.diffs import FileDiff, git_patch


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "pkg").mkdir(parents=True)
    (folder / "pkg/a.py").write_bytes(b"x = 1\r\ny = 2")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o750)
    (folder / "data.bin").write_bytes(b"\0\1")
    (folder / "latin.txt").write_bytes(b"\xe9")
    return folder


def errors(workspace: TreeWorkspace, *edits: Edit) -> str:
    return "\n".join(result.error or "" for result in workspace.apply(list(edits)))


def test_files_are_read_and_listed(root: Path) -> None:
    (root / ".git").mkdir()
    (root / ".git/config").write_text("")
    (root / "link").symlink_to("run.sh")
    workspace = TreeWorkspace(root)
    assert workspace.paths() == ["data.bin", "latin.txt", "pkg/a.py", "run.sh"]
    assert workspace.read("pkg/a.py") == "x = 1\r\ny = 2"
    assert workspace.read("pkg/none.py") is None
    assert workspace.read("pkg") is None
    assert workspace.read("run.sh/inside") is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("data.bin", "binary"),
        ("latin.txt", "not UTF-8"),
        ("../x", "leaves the repository"),
        ("pipe", "not a regular file"),
    ],
)
def test_what_is_no_text_inside_is_refused(root: Path, path: str, said: str) -> None:
    os.mkfifo(root / "pipe")
    workspace = TreeWorkspace(root)
    with pytest.raises(EditError, match=said):
        workspace.read(path)
    assert said in errors(workspace, DeleteFile(path=path))


def test_links_are_neither_read_nor_written_through(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "dangling").symlink_to(outside / "new")
    workspace = TreeWorkspace(root)
    for path in ("file", "folder/secret", "dangling"):
        with pytest.raises(EditError, match="symlink"):
            workspace.read(path)
    for edit in (
        CreateFile(path="folder/new", content="x"),
        CreateFile(path="dangling", content="x"),
        CreateFile(path="file/x", content="x"),
        DeleteFile(path="file"),
        RenameFile(path="file", new_path="moved"),
        RenameFile(path="run.sh", new_path="folder/run.sh"),
        CreateFile(path="folder", content="x"),
    ):
        assert "symlink" in errors(workspace, edit), edit
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "s"


def test_a_hard_link_is_broken_rather_than_written_through(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("x = 1\n")
    os.link(other, root / "linked.py")
    assert not errors(TreeWorkspace(root), SearchReplace(path="linked.py", search="x = 1\n", replace="x = 2\n"))
    assert (other.read_text(), (root / "linked.py").read_text()) == ("x = 1\n", "x = 2\n")


def test_modes_are_kept_and_folders_come_and_go(root: Path) -> None:
    workspace = TreeWorkspace(root)
    edits: list[Edit] = [
        SearchReplace(path="run.sh", search="#!/bin/sh\n", replace="#!/bin/bash\n"),
        RenameFile(path="pkg/a.py", new_path="src/deep/a.py"),
        CreateFile(path="pkg", content="now a file"),
        CreateFile(path="tool", content="", executable=True),
    ]
    assert not errors(workspace, *edits).strip()
    assert (root / "run.sh").stat().st_mode & 0o777 == 0o750
    assert (root / "tool").stat().st_mode & 0o111
    assert (root / "src/deep/a.py").read_bytes() == b"x = 1\r\ny = 2"
    assert (root / "pkg").read_text() == "now a file"
    assert not list(root.rglob("*.tmp"))


def test_a_rejected_batch_leaves_every_file_alone(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    workspace = TreeWorkspace(root)
    said = errors(workspace, DeleteFile(path="run.sh"), CreateFile(path="n/e/w", content=""), DeleteFile(path="gone"))
    assert "gone does not exist" in said
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert not (root / "n").exists()
    assert workspace.changes() == []


def test_a_disk_that_refuses_is_no_fault_of_the_edit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (root / "run.sh").read_bytes()

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(InfrastructureError, match="No space left on device"):
        TreeWorkspace(root).apply([SearchReplace(path="run.sh", search="#!/bin/sh\n", replace="x\n")])
    assert (root / "run.sh").read_bytes() == before
    assert not list(root.rglob("*.tmp"))


def test_affected_tests_are_run_by_the_given_function(root: Path) -> None:
    report = SuiteReport(end=SuiteEnd.NO_TESTS, exit_code=5, seconds=0.1)
    assert TreeWorkspace(root).run_affected_tests(["a"]) is None
    workspace = TreeWorkspace(root, lambda changed, patch: report if (changed, patch) == (["a"], "") else None)
    assert workspace.run_affected_tests(["a"]) is report


def test_what_is_changed_back_is_no_change(root: Path) -> None:
    workspace = TreeWorkspace(root)
    there = SearchReplace(path="run.sh", search="#!/bin/sh\n", replace="x\n")
    back = SearchReplace(path="run.sh", search="x\n", replace="#!/bin/sh\n")
    workspace.apply([there])
    assert [diff.path for diff in workspace.changes()] == ["run.sh"]
    workspace.apply([back])
    assert workspace.patch() == ""


CONTENTS = st.none() | st.builds(
    FileContent,
    st.builds(
        "".join,
        st.lists(st.sampled_from(["a\n", "b\n", "\n", "--- a\n", "+++ b\n", "c\r\n", "é\n", "end"]), max_size=12),
    ),
    st.booleans(),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(CONTENTS, CONTENTS), min_size=1, max_size=3))
def test_git_applies_the_patch(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[FileContent, FileContent]]
) -> None:
    folder = tmp_path_factory.mktemp("patch")
    names = ["plain.py", "with space.py", 'qu"ote é.py']
    diffs = [FileDiff(names[index], *pair) for index, pair in enumerate(pairs)]
    for diff in diffs:
        if diff.before is not None:
            (folder / diff.path).write_bytes(diff.before.text.encode())
            (folder / diff.path).chmod(0o755 if diff.before.executable else 0o644)
    patch = git_patch(diffs)
    if patch:
        subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], cwd=folder, input=patch.encode(), check=True)
    for diff in diffs:
        file = folder / diff.path
        assert file.exists() == (diff.after is not None)
        if diff.after is not None:
            assert file.read_bytes() == diff.after.text.encode()
            assert bool(file.stat().st_mode & 0o100) == diff.after.executable
