"""Edits written as text: the inverse of `agent.edits.parse`."""

import re
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import PurePosixPath

from agent.edits import markup
from models.edits import CreateFile, DeleteFile, Edit, RenameFile, SearchReplace, SymbolEdit

INFO_STRINGS = {".py": "python", ".pyi": "python", ".js": "javascript", ".ts": "typescript", ".tsx": "tsx"}
"""What follows the opening fence of a code block, by the suffix of the file."""


def format_edits(edits: Sequence[Edit]) -> str:
    """Text from which `parse_edits` reads the same edits."""
    if not edits:
        return markup.NO_CHANGE + "\n"
    lines: list[str] = []
    open_file: str | None = None
    for edit in edits:
        if isinstance(edit, SearchReplace):
            if edit.path != open_file:
                lines.append(f"### edit {markup.quote(edit.path)}")
            lines += _block(edit)
            open_file = edit.path
        else:
            lines += _other(edit)
            open_file = None
    return "".join(line + "\n" for line in lines)


def _other(edit: SymbolEdit | CreateFile | DeleteFile | RenameFile) -> list[str]:
    path = markup.quote(edit.path)
    match edit:
        case CreateFile():
            flag = " executable" if edit.executable else ""
            return [f"### create {path}{flag}", *_fenced(edit.content, edit.path)]
        case DeleteFile():
            return [f"### delete {path}"]
        case RenameFile():
            return [f"### rename {path} -> {markup.quote(edit.new_path)}"]
        case SymbolEdit(op="delete"):
            return [f"### delete {path} :: {markup.quote(edit.symbol)}"]
        case SymbolEdit():
            header = f"### {edit.op} {path} :: {markup.quote(edit.symbol)}"
            return [header, *_fenced(edit.body, edit.path)]


def _block(edit: SearchReplace) -> list[str]:
    search, replace = markup.encode(edit.search), markup.encode(edit.replace)
    length = _free_length(
        7, [*search, *replace], lambda n: [markup.block_start(n), markup.divider(n), markup.closing(n)]
    )
    return ["<" * length + " SEARCH", *search, "=" * length, *replace, ">" * length + " REPLACE"]


def _fenced(content: str, path: str) -> list[str]:
    lines = markup.encode(content)
    length = _free_length(3, lines, lambda n: [markup.fence_start(n), markup.fence_end(n)])
    return ["`" * length + INFO_STRINGS.get(PurePosixPath(path).suffix, ""), *lines, "`" * length]


def _free_length(least: int, lines: list[str], ends: Callable[[int], list[re.Pattern[str]]]) -> int:
    """The shortest marker length, at least `least`, at which no content line reads as a marker."""
    for length in count(least):
        patterns = ends(length)
        if not any(pattern.match(line) for line in lines for pattern in patterns):
            return length
    raise AssertionError("unreachable: content is finite")
