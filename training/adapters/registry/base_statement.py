"""Provenance of a tuned base: an in-toto statement about its files, signed as an adapter's is."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from models.errors import RegistryError, UsageError
from models.plans import Frozen
from models.targets import Role
from training.adapters.registry.signing import check_signature
from training.adapters.registry.statement import STATEMENT, Resource
from training.bases.bases import MANIFEST, PARENT, Base, verify_base
from training.bases.files import read_json

_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE = "clean-room/base/v1"


class BaseLineage(Frozen):
    """The lineage of a tuned base. `base`, `parent` (the base that it was tuned from), `dataset` and `plan` (the
    training job) are hashes; `datasets` those that a mixture was made of. `config` holds recipe, back end, objectives
    and the share of weights that changed."""

    role: Role
    base: str
    parent: str
    parent_name: str
    dataset: str
    datasets: tuple[str, ...] = ()
    plan: str
    config: dict[str, Any]
    code_revision: str
    trained_at: datetime


class BaseStatement(Frozen):
    """The statement, stored beside the weights."""

    type: str = Field(_TYPE, alias="_type")
    subject: tuple[Resource, ...]
    predicate_type: str = Field(_PREDICATE, alias="predicateType")
    predicate: BaseLineage


def write_base_statement(directory: Path, lineage: BaseLineage) -> None:
    """Write the statement about a base's files into its directory; the manifest has their hashes."""
    manifest = read_json(directory / MANIFEST)
    subject = tuple(Resource(name=name, digest={"sha256": entry["sha256"]}) for name, entry in sorted(manifest.items()))
    statement = BaseStatement(subject=subject, predicate=lineage)
    text = json.dumps(statement.model_dump(mode="json", by_alias=True), indent=1, sort_keys=True)
    (directory / STATEMENT).write_text(text + "\n", encoding="utf-8")


def read_base_statement(directory: Path) -> BaseStatement:
    """The statement in a base's directory. Raises RegistryError if there is none or it cannot be read."""
    path = directory / STATEMENT
    try:
        return BaseStatement.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}; a tuned base without its statement is not promoted") from error
    except (ValidationError, ValueError) as error:
        raise RegistryError(f"{path}: not a statement about a base ({str(error).splitlines()[0]})") from error


def check_tuned_base(base: Base, keys: Path, *, full: bool = False) -> BaseLineage:
    """The lineage of a tuned base, after comparing files, signature, statement and row with each other. Raises
    RegistryError with the first mismatch. `full` compares the files with the manifest by hash as well."""
    verify_base(base, full=full)
    try:
        check_signature(base.path, keys)
    except RegistryError as error:
        raise RegistryError(f"base {base.name}: {error}") from error
    statement = read_base_statement(base.path)
    stated = {resource.name: resource.digest["sha256"] for resource in statement.subject}
    recorded = {name: entry["sha256"] for name, entry in read_json(base.path / MANIFEST).items()}
    if stated != recorded:
        raise RegistryError(f"base {base.name}: its statement gives other hashes than its manifest; add it again")
    lineage = statement.predicate
    for what, said, known in (
        ("role", lineage.role, base.role),
        ("base", lineage.base, base.id),
        ("parent", lineage.parent, base.facts.get(PARENT)),
    ):
        if said != known:
            raise RegistryError(f"base {base.name}: its statement says {what} {said}, the database {known}")
    return lineage


def check_intact(base: Base, keys: Path) -> None:
    """Raise RegistryError for a base with an altered byte; of one that was tuned here, also of its statement."""
    if PARENT in base.facts:
        check_tuned_base(base, keys, full=True)
    else:
        verify_base(base, full=True)


def role_of(base: Base) -> Role:
    """The role that a base was tuned for. Raises UsageError if it has no lineage."""
    if base.version is None or PARENT not in base.facts or base.role is None:
        raise UsageError(
            f"{base.name} has no lineage of a full fine-tune here, so no gate can compare it with what it came from; "
            f'take it into use by `cra bases adopt {base.name} --role ROLE --reason "..."`'
        )
    return "coding" if base.role == "coding" else "reasoning"
