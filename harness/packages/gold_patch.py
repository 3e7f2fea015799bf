"""The changes of a commit, read from its trees: the gold patch (production and the rest) and the test patch."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from models.errors import CleanRoomError, EditError
from models.files import FileContent
from repos import text as texts
from repos.diffs import FileDiff, git_patch
from repos.edit_paths import check_path
from repos.git import Git
from repos.index.suite_layout import PLAIN, SuiteLayout
from repos.layouts import layout_at

_REGULAR = ("100644", "100755", "100664")
_ABSENT = "000000"
FileRole = Literal["production", "test", "other"]


class UnsupportedChange(CleanRoomError):
    """Code changes in a way that edits cannot express: binary, symlink, submodule, encoding."""


@dataclass(frozen=True)
class GoldFileChange:
    """A changed text file. `path` is its path after the commit (before it, if deleted).

    `old_path` is set for a rename only. `before` and `after` are None where the file does not exist.
    """

    path: str
    before: FileContent | None
    after: FileContent | None
    side: FileRole
    old_path: str | None = None

    def diffs(self) -> list[FileDiff]:
        """The change as one diff for each path that it touches."""
        if self.old_path is None:
            return [FileDiff(self.path, self.before, self.after)]
        return [FileDiff(self.old_path, self.before, None), FileDiff(self.path, None, self.after)]


@dataclass(frozen=True)
class GoldPatch:
    """A commit's change. `production` includes other files that tests may depend on (`pyproject.toml`).

    `tests` are test code and data. `ignored` are changes that no edit can make, in files that are not code, each with
    its reason. `layout` is that of the repository's tests at the commit or at its parent.
    """

    commit: str
    parent: str
    production: tuple[GoldFileChange, ...]
    tests: tuple[GoldFileChange, ...]
    ignored: tuple[tuple[str, str], ...] = ()
    layout: SuiteLayout = PLAIN

    def side_of(self, path: str) -> FileRole:
        """The side of the commit that a file would belong to."""
        return side_of(path, self.layout)

    @property
    def identity(self) -> str:
        """Hash of the production and test changes, independent of the commit."""
        return hashlib.sha256(f"{self.patch()}\0{self.test_patch()}".encode()).hexdigest()

    def patch(self) -> str:
        """The production side as a patch in git's format."""
        return _patch(self.production)

    def test_patch(self) -> str:
        """The test side as a patch in git's format."""
        return _patch(self.tests)


def read_gold_patch(git: Git, commit: str, parent: str | None = None) -> GoldPatch:
    """The change between a commit and its (first) parent, with git's detection of renames.

    Raises UnsupportedChange if code changes in a way that edits cannot express, RepositoryError for a commit that is
    missing or has no parent.
    """
    commit = git.resolve(commit)
    parent = git.resolve(parent or f"{commit}^")
    entries = list(_entries(git, parent, commit))
    wanted = {blob for entry in entries for blob, mode in entry.sides() if mode in _REGULAR}
    blobs = git.blobs(sorted(wanted))
    layout = layout_at(git, commit, parent)
    changes: list[GoldFileChange] = []
    ignored: list[tuple[str, str]] = []
    for entry in entries:
        try:
            changes += _split_by_side(_change(entry, blobs, layout), layout)
        except EditError as error:
            if "other" not in {layout.kind_of(path) for path in (entry.path, entry.old_path) if path}:
                raise UnsupportedChange(f"commit {commit[:12]}: {error}") from error
            ignored.append((entry.path, str(error)))
    return GoldPatch(
        commit,
        parent,
        tuple(change for change in changes if change.side != "test"),
        tuple(change for change in changes if change.side == "test"),
        tuple(ignored),
        layout,
    )


@dataclass(frozen=True)
class _Entry:
    """A record of `git diff-tree --raw`."""

    path: str
    old_path: str | None
    old_mode: str
    new_mode: str
    old_blob: str
    new_blob: str

    def sides(self) -> list[tuple[str, str]]:
        return [(self.old_blob, self.old_mode), (self.new_blob, self.new_mode)]


def _entries(git: Git, parent: str, commit: str) -> Iterator[_Entry]:
    raw = git.output("diff-tree", "-r", "-z", "-M", "--raw", "--no-abbrev", "--full-index", parent, commit)
    fields = iter(raw.decode(errors="surrogateescape").split("\0"))
    for head in fields:
        if not head:
            continue
        old_mode, new_mode, old_blob, new_blob, status = head.removeprefix(":").split(" ")
        path = next(fields)
        old_path = None
        if status.startswith("R"):
            old_path, path = path, next(fields)
        yield _Entry(path, old_path, old_mode, new_mode, old_blob, new_blob)


def _change(entry: _Entry, blobs: dict[str, bytes], layout: SuiteLayout) -> GoldFileChange:
    for path in (entry.path, entry.old_path):
        if path is not None:
            check_path(path)
    before, after = (_content(entry.path, blob, mode, blobs) for blob, mode in entry.sides())
    return GoldFileChange(entry.path, before, after, side_of(entry.path, layout), entry.old_path)


def _content(path: str, blob: str, mode: str, blobs: dict[str, bytes]) -> FileContent | None:
    if mode == _ABSENT:
        return None
    if mode not in _REGULAR:
        raise EditError(f"{path} is a {'submodule' if mode == '160000' else 'symlink'}")
    return FileContent(texts.decode(blobs[blob], path), executable=mode == "100755")


def side_of(path: str, layout: SuiteLayout = PLAIN) -> FileRole:
    """The side of a commit that a file belongs to; data next to the tests belongs to them."""
    kind = layout.kind_of(path)
    return "test" if kind == "other" and layout.is_test(path) else kind


def _split_by_side(change: GoldFileChange, layout: SuiteLayout) -> list[GoldFileChange]:
    """The change itself; a rename from one side to the other as a deletion and a creation."""
    if change.old_path is None or side_of(change.old_path, layout) == change.side:
        return [change]
    gone = GoldFileChange(change.old_path, change.before, None, side_of(change.old_path, layout))
    return [gone, replace(change, before=None, old_path=None)]


def _patch(changes: tuple[GoldFileChange, ...]) -> str:
    diffs = [diff for change in changes for diff in change.diffs()]
    return git_patch(sorted(diffs, key=lambda diff: diff.path))
