"""Files of a study: written whole or not at all, named by the key of what they hold, so that a stopped run goes on."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from host.private import make_directory
from models.errors import EvaluationError, InfrastructureError

M = TypeVar("M", bound=BaseModel)


def kept_rows(path: Path, kind: type[M], make: Callable[[], Iterable[M]]) -> list[M]:
    """The rows of a JSON-lines file; if there is none, they are made and written. Raises as `read_rows` does."""
    if not path.exists():
        write_whole(path, "".join(row.model_dump_json() + "\n" for row in make()))
    return read_rows(path, kind)


def kept_value(path: Path, kind: type[M], make: Callable[[], M]) -> M:
    """The value of a JSON file; if there is none, it is made and written. Raises as `read_rows` does."""
    if not path.exists():
        write_whole(path, make().model_dump_json(indent=1) + "\n")
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise _damaged(path, kind) from error


def read_rows(path: Path, kind: type[M]) -> list[M]:
    """The rows of a JSON-lines file. Raises EvaluationError for one that another version or a fault left."""
    try:
        return [kind.model_validate_json(line) for line in path.read_bytes().splitlines()]
    except ValidationError as error:
        raise _damaged(path, kind) from error


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


def _damaged(path: Path, kind: type[BaseModel]) -> EvaluationError:
    return EvaluationError(f"{path} holds no {kind.__name__} of this version; remove it, and the study makes it again")
