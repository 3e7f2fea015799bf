"""Reduced against control: differences of loss inside and beyond the window, over the measured repositories."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from evals.paired import holm, interval, sign_flip_over_repositories
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
    and p by sign-flip over repositories; `adjusted`: p by Holm over all windows of the ablation; `by_stage`: the same
    differences of stage loss, and `left_out` the items of each stage's set that do not fit into the window;
    `justified`: whether it is better than the control by adjusted p < .05, and `reason` in words."""

    window: int
    parts: dict[str, Part]
    difference: float
    low: float
    high: float
    p: float
    adjusted: float
    repositories: int
    by_stage: dict[str, float]
    left_out: dict[str, int]
    justified: bool
    reason: str


class _Difference(NamedTuple):
    """Reduced less control inside a window, by repository, and p by sign-flip."""

    by_repository: dict[str, list[float]]
    p: float


def verdicts_of(result: AblationResult) -> list[WindowVerdict]:
    """What the arms of each window say; windows are compared with their controls together, so p is adjusted."""
    windows = result.settings.windows
    differences = [_difference(result, window) for window in windows]
    adjusted = holm([each.p for each in differences])
    return [_verdict(result, *each) for each in zip(windows, differences, adjusted, strict=True)]


def _difference(result: AblationResult, window: int) -> _Difference:
    inside = {name: _by_repository(_arms(result, window, name), result, 0, window) for name in (REDUCED, CONTROL)}
    found = {name: [inside[REDUCED][name] - inside[CONTROL][name]] for name in sorted(inside[CONTROL])}
    return _Difference(found, sign_flip_over_repositories(found))


def _verdict(result: AblationResult, window: int, difference: _Difference, adjusted: float) -> WindowVerdict:
    mean = fmean(value for (value,) in difference.by_repository.values())
    low, high = interval(difference.by_repository)
    base = [arm for arm in result.arms if arm.name == BASE]
    trained = [*_arms(result, window, REDUCED), *_arms(result, window, CONTROL)]
    return WindowVerdict(
        window=window,
        parts={BASE: part_of(base, result, window)}
        | {name: part_of(_arms(result, window, name), result, window) for name in ARMS},
        difference=mean,
        low=low,
        high=high,
        p=difference.p,
        adjusted=adjusted,
        repositories=len(difference.by_repository),
        by_stage=_by_stage(trained),
        left_out={stage.target: stage.left_out for arm in trained for stage in arm.stages},
        justified=mean < 0 and adjusted < SIGNIFICANT,
        reason=_reason(mean, adjusted, len(difference.by_repository), len(result.settings.windows)),
    )


def _arms(result: AblationResult, window: int, name: str) -> list[Arm]:
    return [arm for arm in result.arms if arm.window == window and arm.name == name]


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


def _reason(mean: float, p: float, repositories: int, windows: int) -> str:
    least = windows * 2 / 2**repositories
    if least >= SIGNIFICANT:
        of = f" for {windows} windows" if windows > 1 else ""
        return f"not justified: {repositories} repositories can show nothing{of} (p is at least {min(1.0, least):.3f})"
    if p >= SIGNIFICANT:
        return "not justified: no difference to the control is shown inside the window"
    if mean > 0:
        return "not justified: inside the window it predicts worse than the control"
    return "justified by loss: inside the window it predicts better than the control; the gate asks for stage metrics"
