"""The progress of learning, as input to the order of tiers."""

from typing import TYPE_CHECKING, cast

from evals.sets import reserved
from evals.steadiness import steadiness
from evals.tiers import TierStatus
from models.guardrail_settings import GuardrailSettings
from models.training import Role
from training.adapters.registry.registry import Registry
from training.bases.bases import list_bases

if TYPE_CHECKING:
    from store.database import Engine


def measure_tier_status(raw: "Engine", curated: "Engine", registry: Registry, limits: GuardrailSettings) -> TierStatus:
    """The progress of learning, from both databases."""
    seen = steadiness(raw, reserved(curated), limits.steady_instances)
    return tier_status(curated, registry, seen.holds(limits.steady_margin, limits.steady_instances))


def tier_status(curated: "Engine", registry: Registry, stable: bool | None) -> TierStatus:
    """The targets with an active adapter on the newest base of their role, and the roles with a tuned base.

    An adapter that was promoted by an override is active but counts as not passed. `stable`: whether whole runs succeed
    reliably, None if not measured.
    """
    tuned = {base.role: base.id for base in sorted(list_bases(curated), key=lambda b: b.version or 0) if base.version}
    promotions = {entry.adapter: entry for entry in registry.log() if entry.action == "promote"}  # the last of each
    promoted = {
        version.target
        for version in registry.list()
        if version.active
        and promotions[version.id].override is None
        and version.base == tuned.get(version.target.role, version.base)
    }
    return TierStatus(frozenset(promoted), frozenset(cast("Role", role) for role in tuned if role), stable)
