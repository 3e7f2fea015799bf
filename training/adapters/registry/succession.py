"""Superseded bases: a newer tuned base of a role supersedes the earlier ones."""

from typing import TYPE_CHECKING

from models.errors import RegistryError
from models.training import Role, TrainingTarget
from store.learning.adapters import AdapterVersion
from training.bases.bases import Base, find_base, list_bases

if TYPE_CHECKING:
    from store.database import Engine


def superseding(curated: "Engine", own: Base, role: Role) -> str:
    """The newest tuned base of a role that is newer than a base; empty if there is none."""
    since = own.version or 0 if own.role == role else 0
    newer = [base for base in list_bases(curated) if base.role == role and (base.version or 0) > since]
    return newer[-1].name if newer else ""


def require_current(curated: "Engine", base: Base, target: TrainingTarget) -> None:
    """Raise RegistryError if a base is superseded for a target: an adapter trained on it could not be promoted."""
    if newer := superseding(curated, base, target.role):
        raise RegistryError(f"base {base.name} is superseded by {newer}; train on that")


def check_current(curated: "Engine", version: AdapterVersion) -> None:
    """Raise RegistryError if an adapter's base is superseded."""
    own = find_base(curated, version.base)
    if newer := superseding(curated, own, version.target.role):
        raise RegistryError(f"{version.name} is of base {own.name}, which {newer} supersedes; train it again on that")
