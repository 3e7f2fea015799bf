"""A revision as git tells it: files, contents, and what came before."""

import subprocess
from pathlib import Path

import pytest

from models.errors import RepositoryError
from repos.git import Git
from repos.index.source import by_age
from repos.sources import GitSource
from tests.support.mining_history import Entry, write_history

BODY = "".join(f"line {number}\n" for number in range(40))


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return write_history(
        tmp_path / "r",
        [
            Entry("Begin", {"a.py": BODY, "link": ("120000", "a.py"), "sub": ("160000", "1" * 40)}),
            Entry("Add é\n\nBody\x1e :100644 here\n\nTrailer: x", {"é \n\t.py": "x", b"\xff.py": "y"}),
            Entry("Move", renames={"a.py": "b.py"}),
            Entry("", {"b.py": BODY + "z\n"}),
            Entry("Delete", {b"\xff.py": None, "link": None}),
            Entry("Aside", {"side.py": "s"}, orphan=True),
            Entry("Merge", {"merged.py": "m"}, merges=4),
            Entry("After", {"after.py": "n", "b.py": BODY}),
        ],
    )


def test_files_are_the_regular_ones(git: Git) -> None:
    source = GitSource(git, "HEAD~3^{/Add}")
    entries = source.files()
    assert [entry.path for entry in entries] == ["a.py", "é \n\t.py", "\udcff.py"]
    assert dict(source.read([entries[1].blob, entries[1].blob])) == {entries[1].blob: b"x"}
    assert list(source.read([])) == []


def test_history_is_whole_and_newest_first(git: Git) -> None:
    commits = GitSource(git, "HEAD").commits(100, {})
    assert [commit.subject for commit in commits] == ["After", "Aside", "Delete", "", "Move", "Add é", "Begin"]
    assert commits == sorted(commits, key=by_age)
    added, moved, begun = commits[5], commits[4], commits[6]
    assert added.body == "Body\x1e :100644 here\n\nTrailer: x"
    assert added.paths == ("é \n\t.py", "\udcff.py")
    assert (moved.paths, moved.renames) == (("b.py",), (("a.py", "b.py"),))
    assert begun.paths == ("a.py", "link", "sub")
    assert commits[0].when == 1_700_000_000 + 60 * 7
    assert GitSource(git, "HEAD").commits(3, {}) == commits[:3]
    assert GitSource(git, "HEAD").commits(0, {}) == []


def test_what_came_since_an_ancestor_completes_its_history(git: Git) -> None:
    source = GitSource(git, "HEAD")
    listed = git.text("rev-list", "HEAD").split()
    for known in ([sha] for sha in listed):
        since = source.since(known.__contains__)
        assert since is not None
        assert since.ancestor == known[0]
        before = GitSource(git, since.ancestor).commits(100, {})
        assert sorted([*since.commits, *before], key=by_age) == source.commits(100, {})
    assert source.since(lambda _: False) is None


def test_an_unknown_revision_is_the_callers_mistake(git: Git) -> None:
    with pytest.raises(RepositoryError, match="no commit 'nope'"):
        GitSource(git, "nope")


def test_a_shallow_clone_has_the_history_that_it_has(git: Git, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    url = f"file://{git.directory}"
    subprocess.run(["git", "clone", "--quiet", "--bare", "--depth", "1", url, str(shallow)], check=True)
    source = GitSource(Git(shallow), "HEAD")
    assert (source.complete, GitSource(git, "HEAD").complete) == (False, True)
    (commit,) = source.commits(100, {})
    assert (commit.subject, commit.paths) == ("After", ())
