"""Writing into trees that strangers shaped."""

import os
from pathlib import Path

import pytest

from models.errors import RepositoryError
from repos.git import refuse_credentials
from repos.trees import UnsafePath, files_and_links, inside, overlay
from runtime.environments import discover
from runtime.trees import install_tests
from tests.support.mining_history import Entry, write_history


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    folder = tmp_path / "victim"
    folder.mkdir()
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def test_a_file_is_written_in_place_of_a_link_not_through_it(tree: Path, victim: Path) -> None:
    (victim / "file").write_text("precious")
    (tree / "link").symlink_to(victim / "file")
    (tree / "folder").symlink_to(victim)
    (tree / "dangling").symlink_to(victim / "new")
    overlay(tree, {"link": (b"a", False), "folder/file": (b"b", True), "dangling": (b"c", False)})
    assert (victim / "file").read_text() == "precious"
    assert sorted(victim.iterdir()) == [victim / "file"]
    assert (tree / "folder" / "file").read_bytes() == b"b"
    assert os.access(tree / "folder" / "file", os.X_OK)


def test_removals_come_first_so_that_files_and_folders_can_change_places(tree: Path) -> None:
    overlay(tree, {"a/b/c": (b"1", False), "d": (b"2", False)})
    overlay(tree, {"a/b/c": None, "a": (b"3", False), "d": None, "d/e": (b"4", False)})
    assert dict(files_and_links(tree)) == {"a": False, "d/e": False}


def test_a_removal_never_reaches_through_a_link(tree: Path, victim: Path) -> None:
    (victim / "file").write_text("precious")
    (tree / "folder").symlink_to(victim)
    overlay(tree, {"folder/file": None})
    assert (victim / "file").exists()


@pytest.mark.parametrize(
    "path",
    ["/etc/x", "../x", "a/../../x", ".git/config", "a/.GIT/hooks/x", "", "a\0b", "a" * 256, f"x/{'é' * 128}/y",
     "a/" * 2100 + "b", "\ud800"],
    ids=lambda path: ascii(path[:20]),
)  # fmt: skip
def test_a_path_that_leaves_the_tree_is_refused(tree: Path, path: str) -> None:
    assert not inside(path)
    with pytest.raises(UnsafePath):
        overlay(tree, {path: (b"x", False)})


def test_links_that_lead_outside_when_chained_are_not_made(tmp_path: Path, tree: Path, victim: Path) -> None:
    links = {
        "z/q/r/d": ("120000", "../../.."),
        "tests": ("120000", "z/q/r/d/../../../victim"),
        "near": ("120000", "z/file"),
        "z/file": "x",
    }
    git = write_history(tmp_path / "git", [Entry("Add links", dict(links))])
    git.export(git.resolve("HEAD"), tree)
    assert (tree / "near").read_text() == "x"
    assert not (tree / "tests").is_symlink()


def test_hidden_tests_replace_files_and_links_of_a_candidate(tmp_path: Path, tree: Path, victim: Path) -> None:
    git = write_history(
        tmp_path / "git", [Entry("Add tests", {"tests/test_a.py": "theirs", "tests/data": ("120000", "test_a.py")})]
    )
    (tree / "tests").symlink_to(victim)
    (tree / "conftest.py").write_text("mine")
    install_tests(git, git.resolve("HEAD"), tree)
    assert list(victim.iterdir()) == []
    assert (tree / "tests" / "test_a.py").read_text() == "theirs"
    assert (tree / "tests" / "data").read_text() == "theirs"
    assert not (tree / "conftest.py").exists()


def test_a_project_cannot_name_itself_or_its_version_file_out_of_the_tree() -> None:
    text = (
        '[project]\nname = "/victim/owned"\n[tool.setuptools_scm]\nwrite_to = "/victim/version.py"\n'
        '[tool.hatch.build.hooks.vcs]\nversion-file = "../version.py"\n'
    )
    project = discover({"pyproject.toml": text.encode()}.get, ["pyproject.toml"])
    assert "/" not in project.name
    assert project.generated == ()


@pytest.mark.parametrize(
    "url",
    ["https://user:s3cret@example.org/x.git", "https://s3cret@example.org/x", "user:s3cret@example.org:x.git",
     "ssh://user:s3cret@example.org/x"],
)  # fmt: skip
def test_a_url_with_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        refuse_credentials(url)
    assert "s3cret" not in str(caught.value)
    assert "example.org" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://example.org/x", "git@example.org:x.git", "ssh://git@example.org/x", "/a/b", "."]
)
def test_a_url_without_a_secret_is_taken(url: str) -> None:
    refuse_credentials(url)
