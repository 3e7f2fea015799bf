"""How far the learning has come, as the order of tiers asks for it."""

from typing import TYPE_CHECKING, cast

from evals.tiers import Standing
from models.training import Role
from training.bases import list_bases
from training.registry.registry import Registry

if TYPE_CHECKING:
    from sqlalchemy import Engine


def standing(curated: "Engine", registry: Registry, stable: bool | None = None) -> Standing:
    """The targets that an adapter serves on the newest base of their role, and the roles whose base is a tuned one.

    `stable`: whether whole runs succeed steadily, if that was measured.
    """
    tuned = {base.role: base.id for base in sorted(list_bases(curated), key=lambda b: b.version or 0) if base.version}
    promoted = {
        version.target
        for version in registry.list()
        if version.active and version.base == tuned.get(version.target.role, version.base)
    }
    return Standing(frozenset(promoted), frozenset(cast("Role", role) for role in tuned if role), stable)
