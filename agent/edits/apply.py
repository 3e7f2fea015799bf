"""Edits applied to a tree of files, all or nothing, without touching a disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.edits.ladder import replace_once
from agent.edits.whole import edit_symbol
from models.edits import CreateFile, DeleteFile, Edit, EditResult, RenameFile, Rung, SearchReplace, SymbolEdit
from models.errors import EditError
from models.files import FileContent
from repos import text as texts
from repos.edit_paths import check_path, parents


class FileTree(Protocol):
    """Files to start from."""

    def get(self, path: str) -> FileContent | None:
        """A file, or None if there is none. Raises EditError for symlinks, paths through them, and binaries."""
        ...

    def entries_under(self, folder: str) -> list[str]:
        """Paths of everything below a folder; empty if there is no such folder."""
        ...


@dataclass(frozen=True)
class Applied:
    """The result of a batch: a result for each edit, and the files that changed (None: deleted).

    If any edit was rejected, `files` is empty and every result has an error.
    """

    results: list[EditResult]
    files: dict[str, FileContent | None]

    @property
    def rejected(self) -> bool:
        """Whether the batch changed nothing because an edit was rejected."""
        return any(result.error is not None for result in self.results)


def apply_edits(edits: Sequence[Edit], tree: FileTree) -> Applied:
    """Apply edits in order, each to the result of those before it.

    A rejected edit rejects the batch; the edits after it are still tried, so that all mistakes of an answer are
    reported at once. Raises nothing for a bad edit: its result says what is wrong.
    """
    overlay = _Overlay(tree)
    results = [overlay.apply(edit) for edit in edits]
    bad = [number for number, result in enumerate(results, 1) if result.error is not None]
    if not bad:
        return Applied(results, overlay.changed())
    reason = f"not applied, because edit {bad[0]} of the answer was rejected"
    undone = [result if result.error else EditResult(edit=result.edit, error=reason) for result in results]
    return Applied(undone, {})


class _Overlay:
    """The tree as left by the edits so far."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._before: dict[str, FileContent | None] = {}
        self._now: dict[str, FileContent | None] = {}

    def apply(self, edit: Edit) -> EditResult:
        try:
            path = check_path(edit.path)
            before = self.get(path)
            rung = self._apply(edit)
        except EditError as error:
            return EditResult(edit=edit, error=str(error))
        after = self.get(edit.new_path if isinstance(edit, RenameFile) else path)
        return EditResult(edit=edit, rung=rung, before_hash=_hash(before), after_hash=_hash(after))

    def changed(self) -> dict[str, FileContent | None]:
        return {path: now for path, now in self._now.items() if now != self._before[path]}

    def get(self, path: str) -> FileContent | None:
        if path not in self._now:
            self._before[path] = self._now[path] = self._tree.get(path)
        return self._now[path]

    def _existing(self, path: str) -> FileContent:
        content = self.get(path)
        if content is None:
            raise EditError(f"{path} does not exist; create it or name a file that does")
        return content

    def _apply(self, edit: Edit) -> Rung:
        match edit:
            case CreateFile():
                self._put_new(edit.path, FileContent(edit.content, edit.executable))
                return Rung.FILE
            case DeleteFile():
                self._existing(edit.path)
                self._now[edit.path] = None
                return Rung.FILE
            case RenameFile():
                content = self._existing(edit.path)
                check_path(edit.new_path)
                self._now[edit.path] = None
                try:
                    self._put_new(edit.new_path, content)
                except EditError:
                    self._now[edit.path] = content
                    raise
                return Rung.FILE
            case SearchReplace():
                content = self._existing(edit.path)
                text, rung = replace_once(content.text, edit.search, edit.replace, edit.path)
            case SymbolEdit():
                content = self._existing(edit.path)
                text, rung = edit_symbol(content.text, edit)
        texts.encode(text, edit.path)
        self._now[edit.path] = FileContent(text, content.executable)
        return rung

    def _put_new(self, path: str, content: FileContent) -> None:
        texts.encode(content.text, path)
        if self.get(path) is not None:
            raise EditError(f"{path} exists already; edit it, or delete it first")
        for folder in parents(path):
            if self.get(folder) is not None:
                raise EditError(f"{path} cannot be created: {folder} is a file")
        below = {
            *self._tree.entries_under(path),
            *(known for known in self._now if known.startswith(path + "/")),
        }
        if any(entry not in self._now or self._now[entry] is not None for entry in below):
            raise EditError(f"{path} cannot be created: a folder of that name exists")
        self._now[path] = content


def _hash(content: FileContent | None) -> str | None:
    return None if content is None else texts.digest(content.text)
