"""What a critic is shown of two versions of code: all of it where it is short, else where they differ.

Prompts have to stay near 400 tokens, so a side has at most `SIDE_CHARS` characters.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from repos.text import lines_of

SIDE_CHARS = 480
CONTEXT_LINES = 2
"""Lines that both versions have, shown before and after a difference."""
GAP, CUT, NO_CHANGE = "...\n", "... (cut)\n", "(no change)\n"
_MOST_LINES = 1_000
"""Longer versions are not compared line by line: the time grows with the product of their lines."""
_INDENT = re.compile(r"[ \t]*")
_HUNK = re.compile(r"@@ .*@@")


def shown_sides(one: str, other: str, most: int = SIDE_CHARS) -> tuple[str, str] | None:
    """Both versions as they are shown, without the indent that all their lines have; None if they do not fit.

    Each depends on both versions, never on which is better: `shown_sides(b, a)` is `shown_sides(a, b)` reversed.
    """
    first, second = (lines_of(each) for each in (one, other))
    if max(len(one), len(other)) > most:
        if max(len(first), len(second)) > _MOST_LINES:
            return None
        first, second = _around_differences(first, second)
    sides = _without_indent(first, second)
    return sides if max(map(len, sides)) <= most else None


def shown_patch(patch: str, most: int = SIDE_CHARS) -> str:
    """The lines of a unified diff as they are after it, file by file, cut to `most` characters.

    Comparable to a side: the code around each change, without what is removed.
    """
    shown, began = "", False
    for line in patch.split("\n"):
        if line.startswith("+++ "):
            more, began = f"# {line[4:].removeprefix('b/')}\n", False
        elif _HUNK.match(line):
            more, began = (GAP if began else ""), True
        elif began and line[:1] in ("+", " "):
            more = line[1:] + "\n"
        else:
            continue
        if len(shown) + len(more) + len(CUT) > most:
            return shown + CUT
        shown += more
    return shown or NO_CHANGE


def _around_differences(one: Sequence[str], other: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lines of both around their differences, with a gap between those that lie apart.

    The matcher's alignment depends on the order of its arguments, so that they are given in a fixed one.
    """
    if list(one) > list(other):
        second, first = _around_differences(other, one)
        return first, second
    left: list[str] = []
    right: list[str] = []
    for old_start, old_end, new_start, new_end in _differences(one, other):
        if left:
            left.append(GAP)
            right.append(GAP)
        left += one[old_start:old_end]
        right += other[new_start:new_end]
    return left, right


def _differences(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    for group in matcher.get_grouped_opcodes(CONTEXT_LINES):
        yield group[0][1], group[-1][2], group[0][3], group[-1][4]


def _without_indent(one: Sequence[str], other: Sequence[str]) -> tuple[str, str]:
    """Both without the longest indent that all their lines begin with, blank ones and gaps apart."""
    lines = [line for line in (*one, *other) if line.strip() and line != GAP]
    indents = [found[0] for line in lines if (found := _INDENT.match(line))]
    common = min(indents, key=len, default="")
    if not all(indent.startswith(common) for indent in indents):
        common = ""
    first, second = ("".join(line.removeprefix(common) for line in side) for side in (one, other))
    return first, second
