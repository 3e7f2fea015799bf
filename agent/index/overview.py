"""A repository at a glance: its tree, as far as a number of characters goes."""

from collections.abc import Mapping
from pathlib import PurePosixPath


def overview(notes: Mapping[str, str], most: int) -> str:
    """A tree of at most `most` characters: a line per folder and file, with the note of each file after its name.

    Where room is short, the notes go first, then the files of the deepest folders, of which their number is left.
    """
    deepest = max((path.count("/") for path in notes), default=0)
    for depth in range(deepest, -1, -1):
        for noted in (True, False) if depth == deepest else (False,):
            text = _tree(notes, depth, noted)
            if len(text) <= most:
                return text
    text = _tree(notes, 0, noted=False)
    return text[: max(text.rfind("\n", 0, max(most - 3, 0)) + 1, 0)] + "..."[:most]


def _tree(notes: Mapping[str, str], depth: int, noted: bool) -> str:
    """Files down to a depth, below it only how many there are."""
    lines: list[str] = []
    shown: set[str] = set()
    hidden: dict[str, int] = {}
    for path in notes:
        parts = path.split("/")
        if len(parts) - 1 > depth:
            folder = "/".join(parts[: depth + 1])
            hidden[folder] = hidden.get(folder, 0) + 1
    for path in sorted(notes, key=lambda path: _order(path)):
        parts = path.split("/")
        for level in range(1, min(len(parts), depth + 2)):
            folder = "/".join(parts[:level])
            if folder not in shown:
                shown.add(folder)
                count = f" ({hidden[folder]} files)" if folder in hidden else ""
                lines.append(f"{'  ' * (level - 1)}{parts[level - 1]}/{count}")
        if len(parts) - 1 <= depth:
            note = f": {notes[path]}" if noted and notes[path] else ""
            lines.append(f"{'  ' * (len(parts) - 1)}{PurePosixPath(path).name}{note}")
    return "\n".join(lines)


def _order(path: str) -> list[tuple[bool, str]]:
    """Folders before files, each by name."""
    parts = path.split("/")
    return [(level == len(parts) - 1, part) for level, part in enumerate(parts)]
