"""Files that only grow by whole lines. A line counts from its line end on: one that a kill cut short is no line.

Writers take turns by a lock of theirs; readers need none.
"""

import os
from pathlib import Path

from host.private import make_directory, private_file


def read_lines(path: Path) -> list[bytes]:
    """The whole lines of a file, without their ends; none if there is no file. Raises OSError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return content.split(b"\n")[:-1]


def append_line(path: Path, line: bytes) -> None:
    """Add a line and wait until it is on the disk; what a kill left of an unfinished one is removed. Raises OSError."""
    make_directory(path.parent)
    private_file(path)
    with path.open("r+b") as file:
        content_end = file.seek(0, os.SEEK_END)
        if content_end and not _ends_a_line(path):
            file.seek(0)
            content_end = file.read().rfind(b"\n") + 1
            file.truncate(content_end)
        file.seek(content_end)
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
