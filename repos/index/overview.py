"""An overview of a repository within a limit of characters."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple


class OverviewFile(NamedTuple):
    """A file of an overview. `rank`: 0 for production code, 1 for tests, 2 for the rest; `note`: its main symbols."""

    path: str
    rank: int
    note: str = ""


def overview(files: Sequence[OverviewFile], most: int) -> str:
    """Folders by full paths with their files, in at most `most` characters: code first, then tests, then the rest.

    All files with the notes of the code if they fit; else the rest by counts, the code without notes, the code by
    counts, the outermost folders; at last whatever lines fit.
    """
    code = [file for file in files if file.rank == 0]
    others = [file for file in files if file.rank]
    details: tuple[Callable[[], list[str]], ...] = (
        lambda: [*_noted(code), *_named(others)],
        lambda: [*_noted(code), *_counted(others, _outermost)],
        lambda: [*_named(code), *_counted(others, _outermost)],
        lambda: [*_counted(code, _folder), *_counted(others, _outermost)],
        lambda: _counted(files, _outermost),
    )
    lines: list[str] = []
    for detail in details:
        lines = detail()
        if len("\n".join(lines)) <= most:
            return "\n".join(lines)
    while lines and len("\n".join([*lines, "..."])) > most:
        lines.pop()
    return "\n".join([*lines, "..."])[:most]


def overview_paths(text: str) -> set[str]:
    """The paths of the files that an overview lists by name."""
    found: set[str] = set()
    folder = ""
    for line in text.splitlines():
        if line.startswith("  "):
            found.add(_joined(folder, line[2:].partition(": ")[0]))
        elif line.endswith("/"):
            folder = line[:-1]
        elif (cut := line.rpartition("/: ")) and cut[1]:
            found.update(_joined(cut[0], name) for name in cut[2].split(", "))
    return found


def _joined(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _noted(files: Sequence[OverviewFile]) -> list[str]:
    lines = []
    for folder, inside in _by(files, _folder):
        lines.append(f"{folder}/")
        lines += [f"  {_name(file)}{': ' if file.note else ''}{file.note}" for file in inside]
    return lines


def _named(files: Sequence[OverviewFile]) -> list[str]:
    return [f"{folder}/: {', '.join(map(_name, inside))}" for folder, inside in _by(files, _folder)]


def _counted(files: Sequence[OverviewFile], folder_of: Callable[[str], str]) -> list[str]:
    counts = [(folder, len(inside)) for folder, inside in _by(files, folder_of)]
    return [f"{folder}/ ({count} file{'s' if count > 1 else ''})" for folder, count in counts]


def _by(files: Iterable[OverviewFile], folder_of: Callable[[str], str]) -> list[tuple[str, list[OverviewFile]]]:
    """Files by folder; folders by the best rank in them, then by name; the root as `.`."""
    found: dict[str, list[OverviewFile]] = {}
    for file in sorted(files, key=lambda file: file.path):
        found.setdefault(folder_of(file.path), []).append(file)
    return sorted(found.items(), key=lambda item: (min(file.rank for file in item[1]), item[0]))


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _outermost(path: str) -> str:
    return path.partition("/")[0] if "/" in path else "."


def _name(file: OverviewFile) -> str:
    return file.path.rpartition("/")[2]
