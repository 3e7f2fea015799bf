"""File changes as a patch in git's format."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from models.files import FileContent
from repos.text import lines_of


@dataclass(frozen=True)
class FileDiff:
    """A file before and after; None where it does not exist."""

    path: str
    before: FileContent | None
    after: FileContent | None


def git_patch(diffs: Iterable[FileDiff]) -> str:
    """A patch for `git apply`, files in the given order; a rename shows as deletion and creation."""
    return "".join(line for diff in diffs for line in _file(diff))


def opcodes(before: list[str], after: list[str]) -> list[tuple[int, int, int, int]]:
    """Changed line ranges (b0, b1, a0, a1), half-open, in order; equal lines lie between any two of them.

    difflib's matching without its heuristics, after equal heads and tails are removed.
    """
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    matcher = difflib.SequenceMatcher(
        None,
        before[head : len(before) - tail],
        after[head : len(after) - tail],
        False,
    )
    return [
        (b0 + head, b1 + head, a0 + head, a1 + head) for tag, b0, b1, a0, a1 in matcher.get_opcodes() if tag != "equal"
    ]


def _file(diff: FileDiff) -> Iterator[str]:
    before, after = diff.before, diff.after
    if before == after:
        return
    old, new = _quoted("a/" + diff.path), _quoted("b/" + diff.path)
    yield f"diff --git {old} {new}\n"
    if before is None and after is not None:
        yield f"new file mode {_mode(after)}\n"
    elif before is not None and after is None:
        yield f"deleted file mode {_mode(before)}\n"
    elif before is not None and after is not None and before.executable != after.executable:
        yield f"old mode {_mode(before)}\nnew mode {_mode(after)}\n"
    old_text, new_text = (before.text if before else ""), (after.text if after else "")
    if old_text == new_text:
        return
    yield f"--- {'/dev/null' if before is None else old + _tab(old)}\n"
    yield f"+++ {'/dev/null' if after is None else new + _tab(new)}\n"
    yield from _hunks(lines_of(old_text), lines_of(new_text))


def _hunks(before: list[str], after: list[str], context: int = 3) -> Iterator[str]:
    groups: list[list[tuple[int, int, int, int]]] = []
    for change in opcodes(before, after):
        if groups and change[0] - groups[-1][-1][1] <= 2 * context:
            groups[-1].append(change)
        else:
            groups.append([change])
    for group in groups:
        lead = min(context, group[0][0])
        trail = min(context, len(before) - group[-1][1])
        b0, b1 = group[0][0] - lead, group[-1][1] + trail
        a0, a1 = group[0][2] - lead, group[-1][3] + trail
        yield f"@@ -{_range(b0, b1)} +{_range(a0, a1)} @@\n"
        position = b0
        for old0, old1, new0, new1 in group:
            yield from _marked(" ", before[position:old0])
            yield from _marked("-", before[old0:old1])
            yield from _marked("+", after[new0:new1])
            position = old1
        yield from _marked(" ", before[position:b1])


def _marked(mark: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield mark + line if line.endswith("\n") else f"{mark}{line}\n\\ No newline at end of file\n"


def _range(start: int, stop: int) -> str:
    count = stop - start
    return f"{start + 1 if count else start},{count}"


def _mode(content: FileContent) -> str:
    return "100755" if content.executable else "100644"


def _quoted(path: str) -> str:
    """A path as git writes it; control characters and backslashes are excluded earlier."""
    return '"' + path.replace('"', '\\"') + '"' if '"' in path else path


def _tab(path: str) -> str:
    """git ends an unquoted name that contains a space with a tab."""
    return "\t" if " " in path and not path.startswith('"') else ""
