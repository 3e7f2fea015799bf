"""Verdicts about windows: which part of a loss they compare, over how many windows, and what they leave out."""

import pytest

from training.windows.ablation import BASE, CONTROL, REDUCED, UNTRAINED, AblationResult, AblationSettings, Arm
from training.windows.learning import LearningSettings
from training.windows.stages import StageLoss
from training.windows.verdicts import verdicts_of


def _result(gain: float, repositories: int, windows: tuple[int, ...] = (256,), left_out: int = 0) -> AblationResult:
    """A result in which reduced is better than its control by `gain` inside each window."""
    settings = AblationSettings(windows=windows, tokens=1024, learning=LearningSettings(learning_rate=1, step_tokens=1))
    names = [f"r{number}" for number in range(repositories)]

    def arm(name: str, window: int, inside: float, beyond: float) -> Arm:
        cut = window // 32 % 16  # a base's window is the whole length
        losses = {each: [inside + k / 100] * cut + [beyond] * (16 - cut) for k, each in enumerate(names)}
        return Arm(
            name=name,
            window=window,
            seed=0,
            stages=(StageLoss("scope", {"r0": inside}, 3, left_out),),
            losses=losses,
            bytes_per_token=1,
            measured_bytes_per_token=1,
            prefill=1,
            decode=1,
        )

    arms = (
        arm(BASE, 512, 3, 3),
        *(arm(UNTRAINED, window, 4, 5) for window in windows),
        *(arm(REDUCED, window, 2.5 - gain, 6) for window in windows),
        *(arm(CONTROL, window, 2.5, 2.4) for window in windows),
    )
    return AblationResult(
        base="tiny",
        original=4096,
        settings=settings,
        length=512,
        bucket=32,
        arms=arms,
        sets=(),
        training=(),
        measured=tuple(names),
    )


@pytest.mark.parametrize(
    ("gain", "repositories", "justified", "word"),
    [(0.2, 7, True, "better"), (-0.2, 7, False, "worse"), (0.0, 7, False, "no difference"), (0.2, 4, False, "nothing")],
)
def test_the_verdict_is_honest(gain: float, repositories: int, justified: bool, word: str) -> None:
    [verdict] = verdicts_of(_result(gain, repositories))
    assert verdict.justified is justified and word in verdict.reason
    assert verdict.difference == pytest.approx(-gain) and verdict.repositories == repositories
    assert verdict.parts[REDUCED].beyond == pytest.approx(6)


def test_several_windows_are_several_tests() -> None:
    """Eight repositories allow p = 2/256: enough for two windows, by Holm, but not for seven together."""
    two, seven = (verdicts_of(_result(0.2, 8, tuple(32 * n for n in range(2, 2 + count)))) for count in (2, 7))
    assert [each.p for each in (*two, *seven)] == pytest.approx([2 / 256] * 9)
    assert [each.adjusted for each in two] == pytest.approx([4 / 256] * 2) and all(each.justified for each in two)
    assert [each.adjusted for each in seven] == pytest.approx([14 / 256] * 7)
    assert not any(each.justified for each in seven) and "can show nothing" in seven[0].reason


def test_items_that_do_not_fit_are_counted() -> None:
    [verdict] = verdicts_of(_result(0.2, 7, left_out=4))
    assert verdict.left_out == {"scope": 4} and verdict.by_stage == pytest.approx({"scope": -0.2})
