"""A commit's change, read from real repositories."""

import os
from pathlib import Path

import pytest

from harness.packages.gold_patch import UnsupportedChange, read_gold_patch
from models.errors import RepositoryError
from models.files import FileContent
from repos.git import Git
from tests.support.gold_material import Repository

LONG = "".join(f"value_{number} = {number}\n" for number in range(40))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "r")
    repository.commit(
        {"src/p/a.py": "a = 1\n", "src/p/long.py": LONG, "tests/test_a.py": "", "tests/data.json": "{}", "doc.md": "x"}
    )
    return repository


def test_a_change_is_split_into_sides_with_renames_and_modes(repository: Repository) -> None:
    commit = repository.commit(
        {
            "src/p/a.py": FileContent("a = 2", executable=True),
            "src/p/long.py": None,
            "src/p/renamed.py": LONG + "more = 1\r\n",
            "tests/test_a.py": None,
            "tests/data.json": "[]",
            "src/p/é new.py": "",
            "pyproject.toml": "x",
        }
    )
    gold = read_gold_patch(Git(repository.directory), commit)
    found = {each.path: each for each in gold.production}
    assert set(found) == {"src/p/a.py", "src/p/renamed.py", "src/p/é new.py", "pyproject.toml"}
    assert found["src/p/a.py"].after == FileContent("a = 2", executable=True)
    assert found["src/p/renamed.py"].old_path == "src/p/long.py"
    assert found["src/p/é new.py"].before is None
    assert {each.path for each in gold.tests} == {"tests/test_a.py", "tests/data.json"}
    assert gold.commit == commit
    assert gold.parent == repository.git("rev-parse", "HEAD^")


def test_the_patch_applies_to_the_parent(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit(
        {"src/p/a.py": "a = 2", "src/p/long.py": None, "src/q.py": LONG, "tests/test_a.py": "t\n"}
    )
    gold = read_gold_patch(Git(repository.directory), commit)
    repository.git("checkout", "--quiet", "HEAD^")
    (tmp_path / "patch").write_text(gold.patch() + gold.test_patch())
    repository.git("apply", str(tmp_path / "patch"))
    repository.git("add", "--all")
    assert repository.git("write-tree") == repository.git("rev-parse", "main^{tree}")


def test_identity_follows_the_change_alone(repository: Repository) -> None:
    git = Git(repository.directory)
    first = read_gold_patch(git, repository.commit({"src/p/a.py": "a = 2\n"}))
    repository.commit({"src/p/a.py": "a = 1\n"})
    again = read_gold_patch(git, repository.commit({"src/p/a.py": "a = 2\n"}))
    other = read_gold_patch(git, repository.commit({"src/p/a.py": "a = 3\n"}))
    assert first.identity == again.identity != other.identity


def test_changes_that_are_not_text_are_ignored_unless_they_are_code(repository: Repository) -> None:
    git = Git(repository.directory)
    (repository.folder / "link.md").symlink_to("doc.md")
    gold = read_gold_patch(git, repository.commit({"logo.png": b"\0", "doc.md": b"\xe9", "src/p/a.py": "a = 3\n"}))
    assert [each.path for each in gold.production] == ["src/p/a.py"]
    assert [path for path, _ in gold.ignored] == ["doc.md", "link.md", "logo.png"]
    with pytest.raises(UnsupportedChange, match="not UTF-8"):
        read_gold_patch(git, repository.commit({"src/p/a.py": b"# \xe9\n"}))
    (repository.folder / "src/p/linked.py").symlink_to("a.py")
    with pytest.raises(UnsupportedChange, match="symlink"):
        read_gold_patch(git, repository.commit({}))


def test_a_rename_from_one_side_to_the_other_is_a_deletion_and_a_creation(repository: Repository) -> None:
    (repository.folder / "tests/helpers").mkdir()
    os.rename(repository.folder / "src/p/long.py", repository.folder / "tests/helpers/long.py")
    gold = read_gold_patch(Git(repository.directory), repository.commit({}))
    assert [(each.path, each.old_path, each.after) for each in gold.production] == [("src/p/long.py", None, None)]
    assert [(each.path, each.old_path, each.before) for each in gold.tests] == [("tests/helpers/long.py", None, None)]


def test_a_root_commit_has_no_change_to_read(repository: Repository) -> None:
    root = repository.git("rev-list", "--max-parents=0", "HEAD")
    with pytest.raises(RepositoryError, match="no commit"):
        read_gold_patch(Git(repository.directory), root)
