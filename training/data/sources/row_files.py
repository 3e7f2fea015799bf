"""Files of rows, written one row at a time."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel

from models.errors import InfrastructureError


@dataclass
class RowFile:
    """An open file of rows as JSON lines, with their hash and number."""

    stream: IO[bytes]
    digest: Any = field(default_factory=hashlib.sha256)
    rows: int = 0

    def write(self, row: BaseModel) -> None:
        """Write a row. Raises InfrastructureError if the disk does not take it."""
        line = row.model_dump_json().encode() + b"\n"
        try:
            self.stream.write(line)
        except OSError as error:  # one of the recipe's own is no fault of this disk
            raise unwritable(Path(self.stream.name), error) from error
        self.digest.update(line)
        self.rows += 1


@contextmanager
def row_file(path: Path) -> Iterator[RowFile]:
    """A new file to write rows to. Raises InfrastructureError if it cannot be opened, or closed with all rows."""
    try:
        stream = path.open("wb")
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield RowFile(stream)
    finally:
        try:
            stream.close()
        except OSError as error:
            raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> InfrastructureError:
    """The error for a path that could not be written."""
    return InfrastructureError(f"{path} cannot be written: {error.strerror}; free disk space")
