"""Reduced against control: differences of loss inside and beyond the window, over the measured repositories."""

from collections.abc import Sequence
from statistics import fmean

from evals.paired import interval, sign_flip_over_repositories
from models.plans import Frozen
from training.windows.ablation import BASE, CONTROL, REDUCED, UNTRAINED, AblationResult, Arm

SIGNIFICANT = 0.05
ARMS = (UNTRAINED, REDUCED, CONTROL)


class Part(Frozen):
    """Mean losses over repositories in a range of positions: `inside` the window, `beyond` it (None: nothing was)."""

    inside: float
    beyond: float | None


class WindowVerdict(Frozen):
    """One window. `difference`: reduced less control inside the window (below 0: the reduction helps), its 95% interval
    and p by sign-flip over repositories; `by_stage`: the same differences of stage loss; `justified`: whether it is
    better than the control by p < .05, and `reason` in words."""

    window: int
    parts: dict[str, Part]
    difference: float
    low: float
    high: float
    p: float
    repositories: int
    by_stage: dict[str, float]
    justified: bool
    reason: str


def verdict_of(result: AblationResult, window: int) -> WindowVerdict:
    """What the arms of a window say."""
    arms = [arm for arm in result.arms if arm.window == window and arm.name in ARMS]
    inside = {name: _by_repository([arm for arm in arms if arm.name == name], result, 0, window) for name in ARMS}
    differences = {name: [inside[REDUCED][name] - inside[CONTROL][name]] for name in sorted(inside[CONTROL])}
    mean, p = fmean(value for (value,) in differences.values()), sign_flip_over_repositories(differences)
    low, high = interval(differences)
    parts = {name: part_of([arm for arm in arms if arm.name == name], result, window) for name in ARMS}
    base = [arm for arm in result.arms if arm.name == BASE]
    return WindowVerdict(
        window=window,
        parts={BASE: part_of(base, result, window), **parts},
        difference=mean,
        low=low,
        high=high,
        p=p,
        repositories=len(differences),
        by_stage=_by_stage(arms),
        justified=mean < 0 and p < SIGNIFICANT,
        reason=_reason(mean, p, len(differences)),
    )


def part_of(arms: Sequence[Arm], result: AblationResult, window: int) -> Part:
    """Mean losses of arms (seeds of one) inside and beyond a window."""
    inside = _by_repository(arms, result, 0, window)
    beyond = _by_repository(arms, result, window, result.length) if window < result.length else {}
    return Part(inside=fmean(inside.values()), beyond=fmean(beyond.values()) if beyond else None)


def by_position(arms: Sequence[Arm]) -> list[float]:
    """Mean loss of arms in each bucket, over repositories and seeds."""
    rows = [losses for arm in arms for losses in arm.losses.values()]
    return [fmean(column) for column in zip(*rows, strict=True)]


def _by_repository(arms: Sequence[Arm], result: AblationResult, start: int, end: int) -> dict[str, float]:
    """Mean loss by repository in positions from `start` to `end`, over seeds; buckets that a border cuts are left
    out."""
    first, last = -(-start // result.bucket), end // result.bucket
    return {name: fmean(value for arm in arms for value in arm.losses[name][first:last]) for name in arms[0].losses}


def _by_stage(arms: Sequence[Arm]) -> dict[str, float]:
    """Reduced less control, of the stage losses' means over repositories."""
    found = {}
    for target in {stage.target for arm in arms for stage in arm.stages}:
        means = {
            name: [
                fmean(stage.by_repository.values())
                for arm in arms
                if arm.name == name
                for stage in arm.stages
                if stage.target == target and stage.by_repository
            ]
            for name in (REDUCED, CONTROL)
        }
        if means[REDUCED] and means[CONTROL]:
            found[target] = fmean(means[REDUCED]) - fmean(means[CONTROL])
    return dict(sorted(found.items()))


def _reason(mean: float, p: float, repositories: int) -> str:
    least = 2 / 2**repositories
    if least >= SIGNIFICANT:
        return f"not justified: {repositories} repositories can show nothing (p is at least {least:.3f})"
    if p >= SIGNIFICANT:
        return "not justified: no difference to the control is shown inside the window"
    if mean > 0:
        return "not justified: inside the window it predicts worse than the control"
    return "justified by loss: inside the window it predicts better than the control; the gate asks for stage metrics"
