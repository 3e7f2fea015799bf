"""Location of an edit's search text in a file: exact, shifted by an indent, or with `...` for omitted middles.

Matches are whole lines, and every rung requires exactly one. A rung with several matches stops the search: what is
ambiguous when read literally does not become clear when read leniently.
"""

import difflib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from agent.edits.indents import Rows, rows_of, shift
from models.edits import Rung
from models.errors import EditError
from repos import text as texts

_ELISION = "..."
_SAME = ("", "")
"""The change of an indent that stays."""


@dataclass(frozen=True)
class _File:
    """A file's lines, and the keys by which they are compared: without their ends."""

    path: str
    lines: list[str]
    keys: list[str]

    def starts(self, wanted: list[str]) -> list[int]:
        """Line numbers at which `wanted` occurs, overlapping matches included."""
        first, count = wanted[0], len(wanted)
        places = (index for index, key in enumerate(self.keys) if key == first)
        return [index for index in places if self.keys[index : index + count] == wanted]


def replace_once(text: str, search: str, replace: str, path: str) -> tuple[str, Rung]:
    """The text with the one place of `search` replaced, and the rung that found it.

    A search without CR matches lines with either end, and the replacement takes the line ends of what it replaces; so
    does one whose lines all end with CR LF in a text without CR. A last line without a newline matches with and without
    one in `search`. Raises EditError for no match (naming the nearest place) and for several (naming their lines).
    """
    if not search:
        if text:
            raise EditError(f"{path}: an empty search fills an empty file, and this one has {len(text)} characters")
        return replace, Rung.EXACT
    if "\r" not in text and texts.all_crlf(search):
        search, replace = search.replace("\r\n", "\n"), replace.replace("\r\n", "\n")
    literal = "\r" in search
    lines = texts.lines_of(text)
    keys = [line.removesuffix("\n") if literal else line.removesuffix("\n").removesuffix("\r") for line in lines]
    file = _File(path, lines, keys)
    wanted = search.removesuffix("\n").split("\n")
    complete = search.endswith("\n")
    starts = file.starts(wanted)
    if starts:
        start = _only(file, starts)
        return _put(file, [(start, len(wanted), replace)], complete, literal), Rung.EXACT
    shifted = list(_shifted(file, wanted))
    if shifted:
        start = _only(file, [each.start for each in shifted])
        moved = _moved(file, shifted[0], len(wanted), replace)
        return _put(file, [(start, len(wanted), moved)], complete, literal), Rung.INDENT_SHIFT
    if any(line.strip() == _ELISION for line in wanted):
        return _put(file, _elided(file, wanted, replace), complete, literal), Rung.ELISION
    raise EditError(f"{path}: the search text stands nowhere; {_nearest(file, wanted)}")


def _only(file: _File, starts: list[int]) -> int:
    if len(starts) > 1:
        where = ", ".join(str(start + 1) for start in starts[:5]) + (", ..." if len(starts) > 5 else "")
        raise EditError(
            f"{file.path}: the search text stands at {len(starts)} places (lines {where}); "
            "add lines around it until it stands at one"
        )
    return starts[0]


def _put(file: _File, places: list[tuple[int, int, str]], complete: bool, literal: bool) -> str:
    """Replace `count` lines from `start` at each place; the last one may end the file without a newline."""
    lines = list(file.lines)
    for index, (start, count, replace) in reversed(list(enumerate(places))):
        region = file.lines[start : start + count]
        end = texts.line_end(region if region[0].endswith("\n") else file.lines)
        new = replace if literal else texts.with_ends(replace, end)
        last = index == len(places) - 1
        at_end = start + count == len(file.lines)
        if last and not complete and region[-1].endswith("\n"):
            new += end
        elif last and complete and not region[-1].endswith("\n"):
            new = new.removesuffix("\n").removesuffix("\r")
        elif new and not new.endswith("\n") and not at_end:
            new += end
        lines[start : start + count] = [new]
    return "".join(lines)


class _Shift(NamedTuple):
    """A place where the lines occur under another indent; `literals`: whether those inside literals do as well, None
    if there are none."""

    start: int
    old: str
    new: str
    literals: bool | None


def _shifted(file: _File, wanted: list[str]) -> Iterator[_Shift]:
    """Places where the lines occur under another indent."""
    bare = [key.lstrip(" \t") for key in file.keys]
    bare_wanted = [line.lstrip(" \t") for line in wanted]
    solid = [index for index, line in enumerate(bare_wanted) if line.strip()]
    if not solid:
        return
    anchor = solid[0]
    rows: Rows | None = None
    for place, key in enumerate(bare):
        start = place - anchor
        if key != bare_wanted[anchor] or start < 0 or not _same_bare(bare[start : start + len(wanted)], bare_wanted):
            continue
        rows = rows or rows_of("".join(file.lines), file.path)
        literal = [i for i in solid if start + i in rows.literals]
        code = [i for i in solid if start + i not in rows.fixed] or literal
        changes = {i: _difference(texts.indent_of(wanted[i]), texts.indent_of(file.keys[start + i])) for i in solid}
        extra = {changes[i] for i in code}
        change = extra.pop() if len(extra) == 1 else None
        if change is None or any(changes[i] not in (change, _SAME) for i in solid):
            continue
        moved = {changes[i] == change for i in literal}
        if change != _SAME and len(moved) < 2:
            yield _Shift(start, *change, moved.pop() if moved else None)


def _moved(file: _File, place: _Shift, count: int, replace: str) -> str:
    """The replacement under the file's indent; literals move as in the search, where it has any."""
    what = f"the replacement for {file.path}"
    if place.literals:
        return texts.shift(replace, place.old, place.new, what)
    before, after = "".join(file.lines[: place.start]), "".join(file.lines[place.start + count :])
    around = file.path, before, after
    return shift(replace, (place.old, place.new), what, around, docstrings=place.literals is None)


def _same_bare(lines: list[str], wanted: list[str]) -> bool:
    if len(lines) != len(wanted):
        return False
    return all(line == want or not (line.strip() or want.strip()) for line, want in zip(lines, wanted, strict=True))


def _difference(old: str, new: str) -> tuple[str, str] | None:
    """The indents that a shift removes and adds, if one indent extends the other at its outer side."""
    if new.endswith(old):
        return "", new[: len(new) - len(old)]
    if old.endswith(new):
        return old[: len(old) - len(new)], ""
    return None


def _split(lines: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == _ELISION:
            parts.append([])
        else:
            parts[-1].append(line)
    return parts


def _elided(file: _File, wanted: list[str], replace: str) -> list[tuple[int, int, str]]:
    """Places of the pieces between the `...` lines, each with its replacement."""
    pieces = _split(wanted)
    news = _split(replace.removesuffix("\n").split("\n") if replace else [])
    if not all(pieces):
        raise EditError(f"{file.path}: '...' in a search must stand between lines, not at an end or beside another")
    if len(news) != len(pieces):
        raise EditError(
            f"{file.path}: the search has {len(pieces) - 1} '...' lines and the replacement {len(news) - 1}; "
            "write one in the replacement for each middle that stays"
        )
    ways, chain = _chains([file.starts(piece) for piece in pieces], [len(piece) for piece in pieces])
    if not ways:
        missing = next((piece for piece in pieces if not file.starts(piece)), None)
        reason = _nearest(file, missing) if missing else "its pieces stand there, but not in this order"
        raise EditError(f"{file.path}: the search text with '...' stands nowhere; {reason}")
    if ways > 1:
        raise EditError(f"{file.path}: the search text with '...' can be read in several ways; add lines to its pieces")
    texts_ = ["\n".join(new) + "\n" if new else "" for new in news]
    if not replace.endswith("\n"):
        texts_[-1] = texts_[-1].removesuffix("\n")
    return list(zip(chain, [len(piece) for piece in pieces], texts_, strict=True))


def _chains(starts: list[list[int]], lengths: list[int]) -> tuple[int, list[int]]:
    """The number of ways (2 means more than one) to place the pieces in order with at least one line between
    neighbours, and the placement if it is unique. Counts from the last piece to the first."""
    counts = [[1] * len(starts[-1])]
    for index in range(len(starts) - 2, -1, -1):
        after = [0]  # after[i]: ways of all later pieces whose first is at its i-th place or later
        for count in reversed(counts[0]):
            after.append(min(2, after[-1] + count))
        after.reverse()
        nexts, gap = starts[index + 1], lengths[index] + 1
        counts.insert(0, [after[bisect_left(nexts, start + gap)] for start in starts[index]])
    ways = min(2, sum(counts[0]))
    chain: list[int] = []
    if ways == 1:
        least = 0
        for places, each, length in zip(starts, counts, lengths, strict=True):
            chain.append(next(p for p, count in zip(places, each, strict=True) if count and p >= least))
            least = chain[-1] + length + 1
    return ways, chain


def _nearest(file: _File, wanted: list[str]) -> str:
    """The place where the file is most similar to the wanted lines, and the first line that differs there."""
    if not file.lines:
        return "the file is empty"
    bare, bare_wanted = [key.strip() for key in file.keys], [line.strip() for line in wanted]
    matcher = difflib.SequenceMatcher(None, bare, bare_wanted)
    blocks = [block for block in matcher.get_matching_blocks() if any(bare[block.a : block.a + block.size])]
    if blocks:
        longest = max(blocks, key=lambda block: block.size)
        start = max(0, longest.a - longest.b)
    else:
        longest_line = max(bare_wanted, key=len)
        close = difflib.get_close_matches(longest_line, bare, n=1)
        if not close:
            return "nothing in the file resembles it"
        start = max(0, bare.index(close[0]) - bare_wanted.index(longest_line))
    end = min(len(file.keys), start + len(wanted))
    for offset, want in enumerate(wanted):
        have = file.keys[start + offset] if start + offset < end else None
        if have != want:
            shown = "the end of the file" if have is None else repr(have[:120])
            where = f"{file.path}:{start + 1}-{end}, where line {start + offset + 1}"
            return f"nearest is {where} is {shown}, not {want[:120]!r}"
    return f"nearest is {file.path}:{start + 1}-{end}"
