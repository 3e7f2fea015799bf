"""Objects read from a git process that stays."""

import gc
import os
import signal
import threading
from pathlib import Path

import pytest

from models.errors import RepositoryError
from repos.commits import commit_of, past_commit
from repos.git import Git
from repos.objects import Objects
from repos.sources import GitSource
from tests.support.mining_history import Entry, write_history


@pytest.fixture
def git(tmp_path: Path) -> Git:
    files: dict[str | bytes, str | bytes | tuple[str, str] | None] = {
        f"d{n % 7}/f{n}.txt": f"{n}\n" * n for n in range(200)
    }
    return write_history(tmp_path / "r", [Entry("One", {**files, "big": "x" * 300_000}), Entry("Two", {"a b": "y"})])


def test_contents_come_in_order_and_large_ones_can_be_left_out(git: Git) -> None:
    objects = Objects(git)
    blobs = {entry.path: entry.blob for entry in git.tree("HEAD")}
    wanted = list(blobs.values())
    assert list(objects.read(wanted)) == [(blob, git.output("cat-file", "blob", blob)) for blob in wanted]
    assert dict(objects.read([blobs["big"], blobs["a b"]], 1000)) == {blobs["big"]: None, blobs["a b"]: b"y"}


@pytest.mark.parametrize("name", ["HEAD", "HEAD~1", "main", "refs/heads/main"])
def test_revisions_are_resolved_as_git_does(git: Git, name: str) -> None:
    assert Objects(git).resolve(name) == git.resolve(name)


@pytest.mark.parametrize("name", ["", "nope", "HEAD~9", "-x", "a b", "HEAD\nHEAD", ":/One two", "HEAD:big"])
def test_what_names_no_commit_or_is_not_plain_resolves_to_nothing(git: Git, name: str) -> None:
    objects = Objects(git)
    assert objects.resolve(name) is None
    assert objects.resolve("HEAD") == git.resolve("HEAD")


def test_a_missing_object_is_named(git: Git) -> None:
    objects = Objects(git)
    with pytest.raises(RepositoryError, match=f"object {'1' * 40} is missing"):
        list(objects.read([git.resolve("HEAD"), "1" * 40]))
    with pytest.raises(RepositoryError, match="is no commit"):
        commit_of(objects, git.text("rev-parse", "HEAD:big"))
    assert commit_of(objects, git.resolve("HEAD")).message == b"Two"


def test_a_process_that_was_killed_is_started_anew(git: Git) -> None:
    objects = Objects(git)
    head = objects.resolve("HEAD")
    assert objects._process is not None
    os.kill(objects._process.pid, signal.SIGKILL)
    objects._process.wait()
    assert objects.resolve("main") == head


def test_objects_written_later_are_found(git: Git, tmp_path: Path) -> None:
    objects = Objects(git)
    assert objects.resolve("HEAD") is not None
    blob = git.output("hash-object", "-w", "--stdin", stdin=b"later").decode().strip()
    assert dict(objects.read([blob])) == {blob: b"later"}


def test_threads_share_a_reader(git: Git) -> None:
    objects = Objects(git)
    wanted = [entry.blob for entry in git.tree("HEAD")]
    expected = list(Objects(git).read(wanted))
    found: list[list[tuple[str, bytes | None]]] = []
    threads = [threading.Thread(target=lambda: found.append(list(objects.read(wanted)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 6


def test_a_reader_that_is_let_go_ends_its_process(git: Git) -> None:
    objects = Objects(git)
    objects.resolve("HEAD")
    process = objects._process
    assert process is not None
    del objects
    gc.collect()
    assert process.poll() is not None


def test_commits_tell_the_same_as_the_log(tmp_path: Path) -> None:
    git = write_history(
        tmp_path / "r",
        [
            Entry("Begin", {"a": "1\n", "d/b": "2\n", "d/e/c": "3\n", "link": ("120000", "a")}),
            Entry("\n\n  Odd é \n\n\nBody\x1e\n", {"a": "x\n", b"d/\xff \n": "y\n"}),
            Entry(b"Bytes \xff\n\nmore \xe9", {"d/e/c": ("100755", "3\n")}),
            Entry("Deep", {"n/e/w/f": "1", "n/e/w/g": "2"}),
            Entry("Gone", {"n/e/w/f": None, "n/e/w/g": None, "sub": None}),
            Entry("Link", {"link": ("120000", "d"), "sub": ("160000", "1" * 40)}),
            Entry("Became a folder", {"a": None, "a/b": "q\n"}),
            Entry("Moved", renames={"d/b": "d/z"}),
            Entry("", {"d/z": "w\n"}),
        ],
    )
    objects = Objects(git)
    source = GitSource(git, "HEAD")
    asked_git = 0
    for past in source.commits(100, {})[:-1]:
        found = past_commit(objects, commit_of(objects, past.sha))
        asked_git += found is None
        assert found in (None, past)
    assert asked_git == 2
