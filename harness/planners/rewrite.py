"""Edits that turn one text of a file into another, exactly, in either edit format.

Each edit is tested on the text left by the edits before it, with the code that applies a model's edits. Where the
format cannot express a change (a mode, line ends of the whole file), the file is deleted and created.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agent.edits.ladder import replace_once
from agent.edits.whole import edit_symbol
from models.edits import CreateFile, DeleteFile, Edit, EditFormat, Rung, SearchReplace, SymbolEdit
from models.errors import EditError
from repos.diffs import opcodes
from repos.index.symbols import MODULE, Symbol, import_block, symbols
from repos.text import lines_of

_MOST_SLIDES = 12
LineSpans = tuple[int, int, int, int]


def recreate(path: str, text: str, executable: bool) -> list[Edit]:
    """The file deleted and created anew."""
    return [DeleteFile(path=path), CreateFile(path=path, content=text, executable=executable)]


def rewrite(path: str, before: str, after: str, edit_format: EditFormat, executable: bool = False) -> list[Edit]:
    """Edits of one file from `before` to `after`; none if they are the same."""
    if before == after:
        return []
    found = _search_replace(path, before, after) if edit_format is EditFormat.SEARCH_REPLACE else None
    if edit_format is EditFormat.WHOLE_SYMBOL:
        found = _whole_symbols(path, before, after)
    return found if found is not None else recreate(path, after, executable)


@dataclass(frozen=True)
class _Progress:
    """A partly edited file: changes before `done` are applied. Lines of change k are at `a0` of that change."""

    before: list[str]
    after: list[str]
    changes: list[LineSpans]

    def lines(self, done: int) -> list[str]:
        if done == len(self.changes):
            return self.after
        b0, _, a0, _ = self.changes[done]
        return self.after[:a0] + self.before[b0:]


def _search_replace(path: str, before: str, after: str) -> list[Edit] | None:
    if not before:
        return [SearchReplace(path=path, search="", replace=after)]
    old, new = lines_of(before), lines_of(after)
    way = _Progress(old, new, opcodes(old, new))
    edits: list[Edit] = []
    for number, (b0, b1, a0, a1) in enumerate(way.changes):
        lines, goal = way.lines(number), "".join(way.lines(number + 1))
        edit = _unique_block(path, lines, goal, (a0, a0 + b1 - b0), new[a0:a1])
        if edit is None:
            return None
        edits.append(edit)
    return edits


def _unique_block(
    path: str, lines: list[str], goal: str, region: tuple[int, int], new: list[str]
) -> SearchReplace | None:
    """The block for one change with the least context, of the tried amounts, that makes it apply exactly."""
    text = "".join(lines)
    context = 1
    while True:
        start, end = max(0, region[0] - context), min(len(lines), region[1] + context)
        edit = SearchReplace(
            path=path,
            search="".join(lines[start:end]),
            replace="".join([*lines[start : region[0]], *new, *lines[region[1] : end]]),
        )
        try:
            if replace_once(text, edit.search, edit.replace, path) == (goal, Rung.EXACT):
                return edit
        except EditError:
            pass
        if start == 0 and end == len(lines):
            return None
        context += max(1, context // 2)


def _whole_symbols(path: str, before: str, after: str) -> list[Edit] | None:
    old, new = lines_of(before), lines_of(after)
    way = _Progress(old, new, opcodes(old, new))
    edits: list[Edit] = []
    done = 0
    while done < len(way.changes):
        for edit, count in _symbol_edits(path, way, done):
            if _gives("".join(way.lines(done)), edit, "".join(way.lines(done + count))):
                edits.append(edit)
                done += count
                break
        else:
            whole = SymbolEdit(path=path, symbol=MODULE, body=after)
            return [whole] if _gives(before, whole, after) else None
    return edits


def _gives(text: str, edit: SymbolEdit, goal: str) -> bool:
    try:
        result, rung = edit_symbol(text, edit)
    except EditError:
        return False
    return result == goal and rung is not Rung.INDENT_SHIFT


def _symbol_edits(path: str, way: _Progress, done: int) -> Iterator[tuple[SymbolEdit, int]]:
    """Edits that may make change number `done`, best first, each with the number of changes it makes."""
    b0, b1, a0, a1 = way.changes[done]
    lines = way.lines(done)
    text = "".join(lines)
    known = [symbol for symbol in symbols(text, path) if symbol.own_lines]
    start, end = a0, a0 + b1 - b0
    if start == end:
        for position, body in _slid(lines, start, way.after[a0:a1]):
            for symbol in reversed(known):
                if symbol.end_line == position:
                    yield SymbolEdit(path=path, symbol=symbol.name, op="insert-after", body=body), 1
                if symbol.start_line - 1 == position:
                    yield SymbolEdit(path=path, symbol=symbol.name, op="insert-before", body=body), 1
    if a0 == a1:
        inside = [s for s in known if start - _MOST_SLIDES <= s.start_line and s.end_line <= end + _MOST_SLIDES]
        yield from ((SymbolEdit(path=path, symbol=symbol.name, op="delete"), 1) for symbol in inside)
    imports = import_block(text, path)
    around = sorted([*known, *([imports] if imports else [])], key=lambda s: s.end_line - s.start_line)
    for symbol in around:
        if symbol.start_line - 1 <= start and end <= symbol.end_line:
            replaced = _replaced(path, way, done, symbol)
            if replaced is not None:
                yield replaced


def _replaced(path: str, way: _Progress, done: int, symbol: Symbol) -> tuple[SymbolEdit, int] | None:
    """The symbol with every change inside it made; None if a change crosses its end."""
    offset = way.changes[done][0] - way.changes[done][2]
    stop_before = symbol.end_line + offset
    count = 0
    for b0, b1, _, _ in way.changes[done:]:
        if b0 >= stop_before and (count or b0 > stop_before):
            break
        if b1 > stop_before:
            return None
        count += 1
    if not count:
        return None
    last = way.changes[done + count - 1]
    stop_after = last[3] + stop_before - last[1]
    body = "".join(way.after[symbol.start_line - 1 : stop_after])
    return SymbolEdit(path=path, symbol=symbol.name, body=body), count


def _slid(lines: list[str], position: int, new: list[str]) -> Iterator[tuple[int, str]]:
    """The places where inserting (rotated) lines gives the same text, the given one first."""
    yield position, "".join(new)
    place, body = position, list(new)
    while place > 0 and lines[place - 1] == body[-1] and position - place < _MOST_SLIDES:
        place, body = place - 1, [body[-1], *body[:-1]]
        yield place, "".join(body)
    place, body = position, list(new)
    while place < len(lines) and lines[place] == body[0] and place - position < _MOST_SLIDES:
        place, body = place + 1, [*body[1:], body[0]]
        yield place, "".join(body)
