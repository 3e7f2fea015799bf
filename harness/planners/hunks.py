"""A file's change as hunks, each owned by the symbols it touches."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import cached_property

from repos.diffs import opcodes
from repos.index.symbols import IMPORTS, MODULE, Symbol, base_name, import_block, symbols
from repos.text import lines_of


@dataclass(frozen=True)
class Hunk:
    """Lines `[b0, b1)` before become lines `[a0, a1)` after.

    `names` are the symbols that the changed lines belong to, without the numbers of repeated definitions; a
    hunk that touches none has the name `<imports>` or `<module>`.
    """

    b0: int
    b1: int
    a0: int
    a1: int
    names: frozenset[str]


@dataclass(frozen=True)
class FileHunks:
    """A text file that exists before and after a change."""

    path: str
    before: str
    after: str

    @cached_property
    def hunks(self) -> tuple[Hunk, ...]:
        """The changed line ranges in order."""
        old, new = lines_of(self.before), lines_of(self.after)
        owners = _Owners(self.before, self.path, old), _Owners(self.after, self.path, new)
        return tuple(
            Hunk(*change, _names(owners[0].names(*change[:2]) | owners[1].names(*change[2:])))
            for change in opcodes(old, new)
        )

    def text(self, applied: Set[int]) -> str:
        """The file with some of its hunks (by index) applied."""
        old, new = lines_of(self.before), lines_of(self.after)
        parts, position = [], 0
        for index, hunk in enumerate(self.hunks):
            parts += old[position : hunk.b0]
            parts += new[hunk.a0 : hunk.a1] if index in applied else old[hunk.b0 : hunk.b1]
            position = hunk.b1
        return "".join(parts + old[position:])

    def applied_in(self, current: str) -> set[int] | None:
        """The hunks that `current` has applied; None if it is no combination of before and after.

        Depth-first over the hunks, trying each as applied first; with an explicit stack and memoized dead ends.
        """
        old, new = lines_of(self.before), lines_of(self.after)
        now = lines_of(current)
        stack: list[tuple[int, int, tuple[int, ...]]] = [(0, 0, ())]
        seen = set()
        while stack:
            index, position, applied = stack.pop()
            if (index, position) in seen:
                continue
            seen.add((index, position))
            start = self.hunks[index - 1].b1 if index else 0
            hunk = self.hunks[index] if index < len(self.hunks) else None
            same = old[start : hunk.b0 if hunk else len(old)]
            if now[position : position + len(same)] != same:
                continue
            position += len(same)
            if hunk is None:
                if position == len(now):
                    return set(applied)
                continue
            for lines, taken in (
                (old[hunk.b0 : hunk.b1], applied),
                (new[hunk.a0 : hunk.a1], (*applied, index)),
            ):
                if now[position : position + len(lines)] == lines:
                    stack.append((index + 1, position + len(lines), taken))
        return None


def _names(names: set[str]) -> frozenset[str]:
    return frozenset(names - {MODULE, IMPORTS} or ({IMPORTS} if names == {IMPORTS} else {MODULE}))


class _Owners:
    """The symbols that own the lines of one version of a file."""

    def __init__(self, text: str, path: str, lines: list[str]) -> None:
        self._lines = lines
        self._symbols = symbols(text, path)
        self._imports = import_block(text, path)

    def names(self, start: int, end: int) -> set[str]:
        """Owners of lines `[start, end)`: the outermost symbol wholly in the range, else the innermost one around the
        line. Blank lines count only where all are blank."""
        solid = [line for line in range(start, end) if self._lines[line].strip()]
        return {self._owner(line, start, end) for line in solid or range(start, end)}

    def _owner(self, line: int, start: int, end: int) -> str:
        around = list(self._around(line))
        inside = [s for s in around if start < s.start_line and s.end_line <= end]
        if around:
            return base_name((inside[0] if inside else around[-1]).name)
        if self._imports and self._imports.start_line <= line + 1 <= self._imports.end_line:
            return IMPORTS
        return MODULE

    def _around(self, line: int) -> Iterator[Symbol]:
        """Symbols around a line (from 0), outermost first."""
        return (symbol for symbol in self._symbols if symbol.start_line <= line + 1 <= symbol.end_line)
