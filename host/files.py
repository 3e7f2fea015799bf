"""Files written whole or not at all: a process that is killed in the middle leaves none that is half written."""

import os
from contextlib import suppress
from pathlib import Path

from host.private import make_directory
from models.errors import InfrastructureError


def write_whole(path: Path, text: str) -> None:
    """Write a file in place of what was there, whole or not at all. Raises InfrastructureError if it cannot."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        make_directory(path.parent)
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise _unwritable(path, error) from error


def append_line(path: Path, text: str) -> None:
    """Append a line, on the disk before this returns. Raises InfrastructureError if that is impossible."""
    try:
        make_directory(path.parent)
        with path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"{path} cannot be written ({error.strerror}); free some space and start again: it goes on"
    )
