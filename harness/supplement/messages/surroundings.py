"""The place of a change in its repository: symbols that it touches, their users, the tests that change with it; and
the code of symbols that a model asks to see."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from harness.planners.hunks import FileHunks
from models.manifest import Change, Commit
from models.tokens import estimate_tokens
from repos.git import Git
from repos.index import IndexCache, IndexedFile, RepositoryIndex, build_index
from repos.index.symbols import IMPORTS, MODULE
from repos.sources import GitSource

_CALLERS = 6
"""Users of a symbol that are named at most."""
_MOST_LINES = 20_000
"""Lines of a file above which its changed symbols are not looked for."""


@dataclass(frozen=True)
class Surroundings:
    """The indexes of a commit and of its parent."""

    commit: Commit
    after: RepositoryIndex
    before: RepositoryIndex

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """A line for each symbol of production code that is touched: signature, state, and users."""
        return tuple(line for change in self._changes("production") for line in self._symbols_of(change))

    @cached_property
    def tests(self) -> tuple[str, ...]:
        """A line for each test file that changes: the tests in it that do."""
        return tuple(
            f"{change.path}: {', '.join(sorted(self._touched(change))) or 'outside all functions'}"
            for change in self._changes("test")
        )

    def code_of(self, path: str, symbol: str, budget: int) -> str:
        """The code of a symbol of the commit, in about `budget` tokens; without such a symbol, what there is."""
        if path not in self.after:
            return f"there is no file {path!r} in the commit"
        file = self.after.file(path)
        found = file.symbol(symbol)
        if found is not None:
            return first_lines(file.text_of(found).split("\n"), budget)
        signatures = [each.signature for each in file.symbols]
        return first_lines([f"{path} has no symbol {symbol!r}; it has:", *signatures], budget)

    def _changes(self, kind: str) -> Iterator[Change]:
        return (change for change in self.commit.changes if change.kind == kind)

    def _symbols_of(self, change: Change) -> Iterator[str]:
        new, old = _file(self.after, change.path), _file(self.before, change.old_path)
        for name in sorted(self._touched(change)):
            here = new.symbol(name) if new else None
            there = old.symbol(name) if old else None
            shown = here or there
            if shown is None:
                continue
            state = "changed" if here and there else "added" if here else "removed"
            users = self.after.references(change.path, name) if here else ()
            users += self.before.references(change.old_path or "", name) if there else ()
            named = list(dict.fromkeys(f"{path}::{symbol}" for path, symbol in users))
            more = f" and {len(named) - _CALLERS} more" if len(named) > _CALLERS else ""
            used = f"; used by {', '.join(named[:_CALLERS])}{more}" if named else ""
            yield f"{change.path}::{name} ({state}): {shown.signature}{used}"

    def _touched(self, change: Change) -> set[str]:
        """Names of the symbols of a file that the change touches."""
        new, old = _file(self.after, change.path), _file(self.before, change.old_path)
        if new is None or old is None:
            only = new or old
            return {symbol.name for symbol in only.symbols if "." not in symbol.name} if only else set()
        if max(new.record.outline.lines, old.record.outline.lines) > _MOST_LINES:
            return set()
        hunks = FileHunks(change.path, old.text, new.text).hunks
        return {name for hunk in hunks for name in hunk.names} - {IMPORTS, MODULE}


def read_surroundings(git: Git, commit: Commit, cache: IndexCache) -> Surroundings:
    """Index a commit and its parent. Raises RepositoryError, InfrastructureError."""
    before = build_index(GitSource(git, commit.parent), cache)
    return Surroundings(commit, build_index(GitSource(git, commit.sha), cache), before)


def first_lines(lines: Iterable[str], budget: int) -> str:
    """As many first lines as about `budget` tokens allow; the text says if some are left out."""
    kept: list[str] = []
    used = 0
    for line in lines:
        used += estimate_tokens(line)
        if used > budget:
            return "\n".join([*kept, "[more is left out]"])
        kept.append(line)
    return "\n".join(kept)


def _file(index: RepositoryIndex, path: str | None) -> IndexedFile | None:
    return index.file(path) if path is not None and path in index else None
