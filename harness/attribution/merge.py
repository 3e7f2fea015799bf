"""Three-way merge of texts by lines."""

from repos.diffs import opcodes
from repos.text import lines_of

LineChange = tuple[int, int, list[str]]


def merge(base: str, ours: str, theirs: str) -> str | None:
    """`base` with the changes of both; None where both change the same or adjoining lines differently."""
    lines = lines_of(base)
    changes: list[LineChange] = []
    for change in sorted(_changes(lines, ours) + _changes(lines, theirs), key=lambda each: each[:2]):
        if changes and change == changes[-1]:
            continue
        if changes and change[0] <= changes[-1][1]:
            return None
        changes.append(change)
    parts: list[str] = []
    position = 0
    for start, end, new in changes:
        parts += [*lines[position:start], *new]
        position = end
    return "".join([*parts, *lines[position:]])


def _changes(lines: list[str], other: str) -> list[LineChange]:
    new = lines_of(other)
    return [(b0, b1, new[a0:a1]) for b0, b1, a0, a1 in opcodes(lines, new)]
