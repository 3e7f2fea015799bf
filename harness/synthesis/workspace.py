"""A workspace in memory: the parent's files, and the changes made to them. No file is written, no test is run."""

from collections.abc import Mapping
from functools import cached_property

from agent.edits.apply import apply_edits
from models.edits import Edit, EditResult
from models.errors import EditError
from models.files import FileContent
from models.suite import SuiteReport
from repos import text as texts
from repos.diffs import FileDiff, git_patch
from repos.edit_paths import check_path
from repos.index.parse import MAX_BYTES
from repos.sources import GitSource


class MemoryWorkspace:
    """`models.protocols.Workspace` over a revision. `known` are files of it whose content is at hand, by path."""

    def __init__(self, source: GitSource, known: Mapping[str, FileContent]) -> None:
        self._source = source
        self._before: dict[str, FileContent | None] = dict(known)
        self._now: dict[str, FileContent | None] = {}

    def read(self, path: str) -> str | None:
        """Text of a file, None if it does not exist. Raises EditError for one that is not text or too large."""
        content = self.get(path)
        return None if content is None else content.text

    def paths(self) -> list[str]:
        """All regular files, sorted."""
        gone = {path for path, content in self._now.items() if content is None}
        return sorted({*self._blobs, *self._now} - gone)

    def apply(self, edits: list[Edit]) -> list[EditResult]:
        """Apply edits in order, all or nothing."""
        applied = apply_edits(edits, self)
        self._now |= applied.files
        return applied.results

    def run_affected_tests(self, changed: list[str]) -> SuiteReport | None:
        """None: no test is run."""
        return None

    def patch(self) -> str:
        """The changes so far, as a git patch."""
        diffs = [FileDiff(path, self._original(path), now) for path, now in sorted(self._now.items())]
        return git_patch([diff for diff in diffs if diff.before != diff.after])

    def changed(self) -> dict[str, FileContent | None]:
        """The files that differ from the revision's; None for one that is gone."""
        return {path: now for path, now in self._now.items() if now != self._original(path)}

    def get(self, path: str) -> FileContent | None:
        """A file as it is now, or None."""
        check_path(path)
        return self._now[path] if path in self._now else self._original(path)

    def entries_under(self, folder: str) -> list[str]:
        """Paths of the files below a folder."""
        return [path for path in self.paths() if path.startswith(f"{folder}/")]

    def _original(self, path: str) -> FileContent | None:
        if path not in self._before:
            self._before[path] = self._read(path)
        return self._before[path]

    def _read(self, path: str) -> FileContent | None:
        blob = self._blobs.get(path)
        if blob is None:
            return None
        [(_, data)] = self._source.read([blob], MAX_BYTES)
        if data is None:
            raise EditError(f"{path} is larger than {MAX_BYTES} bytes; split it")
        return FileContent(texts.decode(data, path))

    @cached_property
    def _blobs(self) -> dict[str, str]:
        return {entry.path: entry.blob for entry in self._source.files()}
