"""Measures of bases that are kept as JSON, so that they are not made again."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from host.private import make_directory
from models.errors import InfrastructureError
from models.plans import Frozen

Measures = TypeVar("Measures", bound=Frozen)


def read_measures(path: Path, kind: type[Measures]) -> Measures | None:
    """What was measured; None if nothing was. Raises InfrastructureError for a file that cannot be read."""
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InfrastructureError(f"{path} cannot be read ({error}); remove it, and it is measured again") from error


def write_measures(path: Path, measured: Frozen) -> None:
    """Keep measures, whole or not at all. Raises InfrastructureError."""
    part = path.with_name(f".{path.name}")
    try:
        make_directory(path.parent)
        part.write_text(measured.model_dump_json() + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be written: {error.strerror}; free disk space") from error
