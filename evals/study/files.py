"""Files of a study: written whole or not at all, named by the key of what they hold, so that a stopped run goes on."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from host.files import write_whole
from models.errors import EvaluationError

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
    return read_value(path, kind)


def read_value(path: Path, kind: type[M]) -> M:
    """The value of a JSON file. Raises EvaluationError for one that another version or a fault left."""
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


def _damaged(path: Path, kind: type[BaseModel]) -> EvaluationError:
    return EvaluationError(f"{path} holds no {kind.__name__} of this version; remove it, and the study makes it again")
