"""Handing a change to a person's own repository, without git ever running inside it."""

import subprocess
from pathlib import Path

import pytest

from harness.runs.delivery import apply_to, check_branch, make_branch
from models.errors import UsageError
from models.files import Overlay

CHANGES: Overlay = {
    "a.py": (b"x = 2\n", False),
    "new/run.sh": ("echo ü\n".encode(), True),
    "gone.py": None,
    'odd "name".txt': (b"y\n", False),
}


def git(root: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e@e", *args],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    root = tmp_path / "mine"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "a.py").write_text("x = 1\n")
    (root / "gone.py").write_text("z = 1\n")
    (root / 'odd "name".txt').write_text("x\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root, git(root, "rev-parse", "HEAD")


def test_a_branch_holds_the_change_and_leaves_the_files_alone(repository: tuple[Path, str]) -> None:
    root, base = repository
    marker = root.parent / "ran"
    for hook in ("reference-transaction", "post-checkout", "pre-commit"):
        path = root / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {marker}\n")
        path.chmod(0o755)
    commit = make_branch(root, base, CHANGES, "Do it\n\nwith care", "cra/do-it")
    assert not marker.exists()
    for hook in (root / ".git" / "hooks").iterdir():
        hook.unlink()
    assert git(root, "rev-parse", "cra/do-it") == commit
    assert git(root, "rev-parse", "cra/do-it^") == base
    assert git(root, "show", "cra/do-it:a.py") == "x = 2"
    assert git(root, "ls-tree", "-r", "cra/do-it", "new/run.sh").startswith("100755")
    assert "gone.py" not in git(root, "ls-tree", "-r", "--name-only", "cra/do-it")
    assert git(root, "log", "-1", "--format=%B", "cra/do-it").startswith("Do it")
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "fsck", "--strict") == ""


def test_the_same_change_makes_the_same_commit(repository: tuple[Path, str]) -> None:
    root, base = repository
    assert make_branch(root, base, CHANGES, "m", "one") == make_branch(root, base, CHANGES, "m", "two")


@pytest.mark.parametrize("name", ["main", "-x", "a..b", "a.lock", "../up", "a/.b", "a b", ""])
def test_a_branch_name_that_is_taken_or_bad_is_refused(repository: tuple[Path, str], name: str) -> None:
    root, base = repository
    with pytest.raises(UsageError, match="--branch"):
        make_branch(root, base, CHANGES, "m", name)


def test_a_packed_ref_counts_as_taken(repository: tuple[Path, str]) -> None:
    root, _ = repository
    git(root, "branch", "old")
    git(root, "pack-refs", "--all")
    with pytest.raises(UsageError, match="exists already"):
        check_branch(root, "old")


def test_a_change_is_applied_whole(repository: tuple[Path, str]) -> None:
    root, base = repository
    apply_to(root, base, CHANGES)
    assert (root / "a.py").read_text() == "x = 2\n"
    assert not (root / "gone.py").exists()
    assert (root / "new" / "run.sh").stat().st_mode & 0o100


def test_nothing_is_applied_over_work_in_progress(repository: tuple[Path, str]) -> None:
    root, base = repository
    (root / "gone.py").write_text("mine\n")
    with pytest.raises(UsageError, match=r"gone\.py is not as the revision has it"):
        apply_to(root, base, CHANGES)
    assert (root / "a.py").read_text() == "x = 1\n"


def test_nothing_is_written_through_a_link(repository: tuple[Path, str]) -> None:
    root, base = repository
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "new").symlink_to(outside)
    with pytest.raises(UsageError, match="nothing was applied"):
        apply_to(root, base, CHANGES)
    assert not list(outside.iterdir())
