"""Provenance of an adapter as an in-toto statement: subjects by hash, and their materials."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from models.errors import RegistryError
from models.plans import Frozen
from models.training import TrainingTarget
from training.adapters.registry.weights import FILES

STATEMENT = "statement.json"
_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE = "clean-room/adapter/v1"


class Resource(Frozen):
    """A file by its SHA-256."""

    name: str
    digest: dict[Literal["sha256"], str]


class Lineage(Frozen):
    """The lineage of an adapter. `adapter`, `base`, `dataset` and `plan` (the training job) are hashes; `parents` the
    datasets that its own extends, `evaluations` the ids that its gate compares: the champion's and its own."""

    target: TrainingTarget
    adapter: str
    base: str
    base_name: str
    dataset: str
    parents: tuple[str, ...] = ()
    plan: str
    config: dict[str, Any]
    code_revision: str
    evaluations: tuple[str, ...] = ()
    trained_at: datetime


class Statement(Frozen):
    """The statement, stored with the weights."""

    type: str = Field(_TYPE, alias="_type")
    subject: tuple[Resource, ...]
    predicate_type: str = Field(_PREDICATE, alias="predicateType")
    predicate: Lineage


def make_statement(files: dict[str, str], lineage: Lineage) -> Statement:
    """The statement about files, each by name and SHA-256."""
    subject = tuple(Resource(name=name, digest={"sha256": files[name]}) for name in FILES)
    return Statement(subject=subject, predicate=lineage)


def write_statement(directory: Path, statement: Statement) -> None:
    """Write the statement into a directory."""
    text = json.dumps(statement.model_dump(mode="json", by_alias=True), indent=1, sort_keys=True)
    (directory / STATEMENT).write_text(text + "\n", encoding="utf-8")


def read_statement(directory: Path) -> Statement:
    """The statement in a directory. Raises RegistryError if there is none or it cannot be read."""
    path = directory / STATEMENT
    try:
        return Statement.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}; an adapter without its statement is not used") from error
    except (ValidationError, ValueError) as error:
        raise RegistryError(f"{path}: not a statement about an adapter ({str(error).splitlines()[0]})") from error
