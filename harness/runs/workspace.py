"""A work tree on disk that the agent may read, edit and test.

Links are never followed: each folder of a path is opened without following them, so a link left by an untrusted
test is harmless. Files are renamed into place, which breaks hard links.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from agent.edits.apply import apply_edits
from host.folders import walk
from models.edits import Edit, EditResult
from models.errors import EditError, InfrastructureError
from models.files import FileContent
from models.suite import SuiteReport
from repos import text as texts
from repos.diffs import FileDiff, git_patch
from repos.edit_paths import check_path
from repos.trees import LinkedPath, files_and_links, parent_folder, remove_file, write_file

RunTests = Callable[[list[str], str], SuiteReport | None]


@dataclass(frozen=True)
class DiskTree:
    """`agent.edits.apply.Tree` over a folder, with symlink-safe writes."""

    root: Path

    def get(self, path: str) -> FileContent | None:
        """A file, or None if it does not exist. Raises EditError if it is not a text file."""
        check_path(path)
        try:
            with self._folder(path) as (folder, name):
                if folder is None:
                    return None
                handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _refused(path, error) from error
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            os.close(handle)
            if stat.S_ISDIR(mode):
                return None
            raise EditError(f"{path} is not a regular file; edits are for text files")
        with os.fdopen(handle, "rb") as stream:
            return FileContent(texts.decode(stream.read(), path), bool(mode & stat.S_IXUSR))

    def entries_under(self, folder: str) -> list[str]:
        """Paths of all non-folders below `folder`."""
        top = self.root / folder
        if top.is_symlink():
            return [folder]
        if not top.is_dir():
            return []
        within = top.relative_to(self.root).as_posix()
        return sorted(
            (Path(within) / f"{each.path}{entry.name}").as_posix()
            for each in walk(top)
            if each.path is not None
            for entry in each.entries
            if not entry.is_dir(follow_symlinks=False)
        )

    def put(self, path: str, content: FileContent) -> None:
        """Write a file, with its folders; other permission bits of an existing file are kept."""
        data = texts.encode(content.text, path)
        with self._folder(path, make=True) as (folder, name):
            if folder is None:
                raise EditError(f"{path} cannot be written: a part of its path is no folder")
            write_file(folder, name, data, _mode(name, folder, content.executable))

    def remove(self, path: str) -> None:
        """Remove a file, and the folders that are empty without it."""
        try:
            remove_file(self.root, path)
        except LinkedPath as error:
            raise EditError(f"{error}; edit the real file") from error

    @contextmanager
    def _folder(self, path: str, make: bool = False) -> Iterator[tuple[int | None, str]]:
        """`parent_folder`; raises EditError where a link is in the way."""
        try:
            with parent_folder(self.root, path, make=make) as found:
                yield found
        except LinkedPath as error:
            raise EditError(f"{error}; edit the real file") from error


class TreeWorkspace:
    """`models.protocols.Workspace` over a folder. `run_tests` gets the changed paths and the patch; None: no tests."""

    def __init__(self, root: Path, run_tests: RunTests | None = None) -> None:
        self._root = root.resolve()
        self._tree = DiskTree(self._root)
        self._run_tests = run_tests
        self._originals: dict[str, FileContent | None] = {}

    def read(self, path: str) -> str | None:
        """Text of a file, None if it does not exist; raises EditError if it is not text or outside the tree."""
        content = self._tree.get(path)
        return None if content is None else content.text

    def paths(self) -> list[str]:
        """All regular files outside `.git`, sorted."""
        there = (path for path, link in files_and_links(self._root) if not link)
        return sorted(path for path in there if ".git" not in path.split("/")[:-1])

    def apply(self, edits: list[Edit]) -> list[EditResult]:
        """Apply edits in order, all or nothing: after a rejected edit the tree is as it was before."""
        applied = apply_edits(edits, self._tree)
        before = {path: self._tree.get(path) for path in applied.files}
        try:
            self._write(applied.files)
        except OSError as error:
            with suppress(OSError):
                self._write(before)
            raise InfrastructureError(f"{self._root} cannot be written: {error.strerror}; the step is lost") from error
        for path, content in before.items():
            self._originals.setdefault(path, content)
        return applied.results

    def run_affected_tests(self, changed: list[str]) -> SuiteReport | None:
        """Run the tests that the changed files may break; None if there are none or testing is off."""
        return self._run_tests(changed, self.patch()) if self._run_tests else None

    def changes(self) -> list[FileDiff]:
        """Files that differ from their initial content, in path order."""
        diffs = [FileDiff(path, before, self._tree.get(path)) for path, before in sorted(self._originals.items())]
        return [diff for diff in diffs if diff.before != diff.after]

    def patch(self) -> str:
        """`changes` as a patch that `git apply` takes; the same changes give the same bytes."""
        return git_patch(self.changes())

    def _write(self, files: dict[str, FileContent | None]) -> None:
        """Write files, removals first, so that a file may replace an emptied folder and vice versa."""
        for path, content in files.items():
            if content is None and self._tree.get(path) is not None:
                self._tree.remove(path)
        for path, content in files.items():
            if content is not None:
                self._tree.put(path, content)


def _mode(name: str, folder: int, executable: bool) -> int:
    try:
        old = stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        old = 0o644
    return old | (old & 0o444) >> 2 if executable else old & ~0o111


def _refused(path: str, error: OSError) -> EditError:
    if error.errno == errno.ELOOP:
        return EditError(f"{path} is a symlink; edit the file it points to")
    return EditError(f"{path} cannot be read: {error.strerror}")
