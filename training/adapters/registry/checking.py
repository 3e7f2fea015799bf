"""Integrity check of a registered adapter: files, signature, statement, row and base, against each other."""

from pathlib import Path

from models.class_bias import CLASS_BIAS, ClassBias
from models.errors import RegistryError
from store.learning.adapters import AdapterVersion
from training.adapters.registry.signing import check_signature
from training.adapters.registry.statement import Statement, read_statement
from training.adapters.registry.weights import FILES, content_hash
from training.bases.bases import Base, verify_base
from training.bases.files import hash_file


def check_version(version: AdapterVersion, base: Base, keys: Path, *, full: bool = False) -> None:
    """Raise RegistryError with the first mismatch. `full` reads the base's files too (1 s per GB)."""
    try:
        found = content_hash(version.path)
        if found != version.id:
            raise RegistryError(
                f"its files in {version.path} have hash {found[:12]}, but {version.id[:12]} was registered"
            )
        check_signature(version.path, keys)
        _check_statement(version, read_statement(version.path), base)
        verify_base(base, full=full)
    except RegistryError as error:
        raise RegistryError(f"adapter {version.name}: {error}") from error


def check_same_bias(known: AdapterVersion, bias: ClassBias | None) -> None:
    """Raise RegistryError if weights that are registered come with a class bias of other offsets: a version never
    changes, and its weights have one version."""
    registered, given = ("" if each is None else each.identity for each in (known.class_bias, bias))
    if registered != given:
        raise RegistryError(
            f"these weights are already registered as {known.name} with {_offsets(known.class_bias)}, and now have "
            f"{_offsets(bias)}; train others, for example with another training.seed"
        )


def _offsets(bias: ClassBias | None) -> str:
    if bias is None or not bias.active:
        return "no class bias"
    return "class bias " + ", ".join(f"{label} {value:+.2f}" for label, value in sorted(bias.offsets.items()))


def _check_statement(version: AdapterVersion, statement: Statement, base: Base) -> None:
    for resource in statement.subject:
        if resource.name not in FILES or hash_file(version.path / resource.name) != resource.digest["sha256"]:
            raise RegistryError(f"its statement gives another hash for {resource.name}")
    predicate = statement.predicate
    for what, stated, recorded in (
        ("target", predicate.target, version.target),
        ("adapter", predicate.adapter, version.id),
        ("base", predicate.base, version.base),
        ("base", predicate.base, base.id),
        ("dataset", predicate.dataset, version.dataset_id),
        ("plan", predicate.plan, version.plan_id),
        ("class bias", predicate.config.get(CLASS_BIAS), version.metrics.get(CLASS_BIAS)),
    ):
        if stated != recorded:
            raise RegistryError(f"its statement says {what} {stated}, the database {recorded}")
