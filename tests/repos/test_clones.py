"""Kept clones of people's repositories."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import RepositoryError
from repos.clones import cached_clone
from repos.git import clone
from repos.git_folders import enclosing_repository, is_repository


def _git(place: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(place), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    place.mkdir()
    _git(place, "init", "-b", "main")
    _git(place, "commit", "--allow-empty", "-m", "One")
    return place


def test_a_state_is_cloned_once_and_the_next_one_replaces_it(mine: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with cached_clone(mine, cache) as first:
        made = (first.directory / "HEAD").stat().st_mtime_ns
    with cached_clone(mine, cache) as again:
        assert again == first
        assert (again.directory / "HEAD").stat().st_mtime_ns == made
    for change in (
        ["commit", "--allow-empty", "-m", "Two"],
        ["tag", "v1"],
        ["checkout", "-b", "other"],
        ["pack-refs", "--all"],
    ):
        _git(mine, *change)
        with cached_clone(mine, cache) as later:
            assert later != first
            assert later.text("log", "-1", "--format=%s", "HEAD") == "Two"
    assert not first.directory.exists()


def test_a_clone_in_use_is_left_alone(mine: Path, tmp_path: Path) -> None:
    with cached_clone(mine, tmp_path / "cache") as first:
        _git(mine, "commit", "--allow-empty", "-m", "Two")
        with cached_clone(mine, tmp_path / "cache") as second:
            assert (first.text("log", "-1", "--format=%s"), second.text("log", "-1", "--format=%s")) == ("One", "Two")


def test_a_work_tree_beside_its_repository_is_cloned(mine: Path, tmp_path: Path) -> None:
    _git(mine, "worktree", "add", str(tmp_path / "tree"))
    with cached_clone(tmp_path / "tree", tmp_path / "cache") as before:
        assert before.text("log", "-1", "--format=%s") == "One"
    _git(tmp_path / "tree", "commit", "--allow-empty", "-m", "Three")
    with cached_clone(tmp_path / "tree", tmp_path / "cache") as after:
        assert after.text("log", "-1", "--format=%s") == "Three"


def test_git_does_not_run_inside_the_repository(mine: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with (mine / ".git" / "config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = "touch {marker}"\n\tsshCommand = "touch {marker}"\n')
    with cached_clone(mine, tmp_path / "cache") as git:
        git.text("log", "-1")
        git.tree("HEAD")
    assert not marker.exists()


@pytest.mark.parametrize("place", ["nowhere", "plain", "empty"])
def test_what_is_no_repository_is_the_callers_mistake(tmp_path: Path, place: str) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "empty").mkdir()
    _git(tmp_path / "empty", "init")
    with pytest.raises(RepositoryError), cached_clone(tmp_path / place, tmp_path / "cache"):
        pass


def test_a_file_that_is_no_repository_is_named_with_what_git_found(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no repository\n")
    with pytest.raises(RepositoryError) as raised:
        clone(str(tmp_path / "notes.txt"), tmp_path / "clone")
    assert "notes.txt" in str(raised.value)
    assert "invalid gitfile" in str(raised.value)


def test_a_kept_clone_is_shared_with_another_process_at_once(mine: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    program = (
        "import sys; from pathlib import Path; from repos.clones import cached_clone\n"
        "with cached_clone(Path(sys.argv[1]), Path(sys.argv[2])) as git: print(git.directory)"
    )
    with cached_clone(mine, cache) as here:
        other = subprocess.run(
            [sys.executable, "-c", program, str(mine), str(cache)],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert other.stdout.strip() == str(here.directory)


def test_a_path_knows_the_repository_that_it_is_or_lies_in(mine: Path, tmp_path: Path) -> None:
    bare, inner = tmp_path / "bare.git", mine / "deep" / "inner"
    subprocess.run(["git", "clone", "-q", "--bare", str(mine), str(bare)], check=True)
    subprocess.run(["git", "init", "-q", str(inner)], check=True)
    (tmp_path / "HEAD").touch()  # with `objects` alone this is no repository
    (tmp_path / "objects").mkdir()
    (tmp_path / "link").symlink_to(mine / "deep")
    assert [is_repository(each) for each in (mine, bare, inner, mine / "deep", tmp_path, Path("a\0b"))] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert enclosing_repository(mine) == mine.resolve()
    assert enclosing_repository(mine / "deep" / "none.py") == mine.resolve()
    assert enclosing_repository(inner / "a.py") == inner.resolve()
    assert enclosing_repository(tmp_path / "link") == mine.resolve()
    assert enclosing_repository(tmp_path / "objects") is None
