"""The progress of learning, as input to the order of tiers."""

from typing import TYPE_CHECKING

from evals.sets import reserved
from evals.steadiness import steadiness
from evals.tiers import TierStatus
from models.guardrail_settings import GuardrailSettings
from models.training import Role
from training.adapters.registry.registry import Registry
from training.adapters.registry.succession import in_use

if TYPE_CHECKING:
    from store.database import Engine

_ROLES: tuple[Role, ...] = ("reasoning", "coding")


def measure_tier_status(raw: "Engine", curated: "Engine", registry: Registry, limits: GuardrailSettings) -> TierStatus:
    """The progress of learning, from both databases."""
    seen = steadiness(raw, reserved(curated), limits.steady_instances)
    return tier_status(curated, registry, seen.holds(limits.steady_margin, limits.steady_instances))


def tier_status(curated: "Engine", registry: Registry, stable: bool | None) -> TierStatus:
    """The targets with an active adapter on the base that their role uses, and the roles that use a tuned base.

    An adapter that was promoted by an override is active but counts as not passed. `stable`: whether whole runs succeed
    reliably, None if not measured.
    """
    used = {role: base for role in _ROLES if (base := in_use(curated, role)) is not None}
    promotions = {entry.adapter: entry for entry in registry.log() if entry.action == "promote"}  # the last of each
    promoted = {
        version.target
        for version in registry.list()
        if version.active
        and promotions[version.id].override is None
        and (version.target.role not in used or version.base == used[version.target.role].id)
    }
    return TierStatus(frozenset(promoted), frozenset(role for role, base in used.items() if base.version), stable)
