"""In which order targets are trained: first what can be measured best, and no tier before the one below has passed."""

from typing import NamedTuple

from models.errors import GuardrailError
from models.training import Role, TrainingTarget

RULE = "tier-order"


class TrainingTier(NamedTuple):
    """Targets that are trained together, most urgent first, and what must have passed before."""

    number: int
    targets: tuple[TrainingTarget, ...]
    bases: tuple[Role, ...]
    needs: tuple[TrainingTarget, ...]


TIERS = (
    TrainingTier(1, (TrainingTarget.CODE, TrainingTarget.SCOPE), (), ()),
    TrainingTier(
        2,
        (TrainingTarget.PRECISION, TrainingTarget.TASK_ANALYSIS),
        ("reasoning",),
        (TrainingTarget.CODE, TrainingTarget.SCOPE),
    ),
    TrainingTier(
        3,
        (TrainingTarget.PLANNING,),
        ("reasoning",),
        (TrainingTarget.CODE, TrainingTarget.SCOPE, TrainingTarget.PRECISION, TrainingTarget.TASK_ANALYSIS),
    ),
)
"""The tuned base teaches planning, so nothing above the first tier goes without it. Preferences about plans come last:
they are made from runs of everything else."""


ORDER = tuple(target for tier in TIERS for target in tier.targets)


class TierStatus(NamedTuple):
    """What has passed so far: targets that an adapter serves by a gate's word, and roles whose base is a tuned one.

    `stable`: whether whole runs succeed steadily; None if that was not measured.
    """

    promoted: frozenset[TrainingTarget] = frozenset()
    tuned: frozenset[Role] = frozenset()
    stable: bool | None = None


def tier_of(target: TrainingTarget) -> TrainingTier:
    """The tier that a target belongs to."""
    return next(tier for tier in TIERS if target in tier.targets)


def missing(target: TrainingTarget, status: TierStatus) -> list[str]:
    """What a target's tier still waits for, in words; empty if it may be trained and promoted."""
    tier = tier_of(target)
    found = [f"a tuned {role} base" for role in tier.bases if role not in status.tuned]
    found += [f"a promoted {need.value} adapter" for need in tier.needs if need not in status.promoted]
    if tier is TIERS[-1] and not status.stable:
        shown = (
            ""
            if status.stable is False
            else " (two student campaigns on the same packages show it, before and after a promotion)"
        )
        found.append(f"whole runs that succeed steadily{shown}")
    return found


def check_tier(target: TrainingTarget, status: TierStatus, override: str | None = None) -> str:
    """Raise GuardrailError (tier-order) if the target's turn has not come, unless a person gives a reason.

    Returns what to note beside the training or promotion; empty if all is in order.
    """
    lacking = missing(target, status)
    if not lacking:
        return ""
    tier = tier_of(target)
    what = f"{target.value} is of tier {tier.number}, which waits for {', '.join(lacking)}"
    if override and override.strip():
        return f"{RULE} passed over: {what}"
    raise GuardrailError(RULE, f"{what}; finish those first, or give a reason to go past this")


def next_targets(status: TierStatus) -> list[TrainingTarget]:
    """The targets whose turn it is and that nothing serves yet, most urgent first."""
    return [
        target
        for tier in TIERS
        for target in tier.targets
        if target not in status.promoted and not missing(target, status)
    ]
