"""Power of the sign-flip test: what is said to be found four times in five is."""

import random
import statistics

import pytest

from evals.paired import detectable, sign_flip
from evals.power import POWER, deviation, groups_needed, least_effect, power

SPREAD = 0.05


def found_by_the_test(effect: float, groups: int, chance: random.Random, rounds: int = 400) -> float:
    """The share of experiments with normal differences that the test itself finds significant."""
    hits = 0
    for _ in range(rounds):
        drawn = [chance.gauss(effect, SPREAD) for _ in range(groups)]
        hits += sign_flip(drawn) <= 0.05 and sum(drawn) > 0
    return hits / rounds


@pytest.mark.parametrize("groups", [6, 7, 9])
def test_a_detectable_difference_is_found_four_times_in_five(groups: int) -> None:
    chance = random.Random(groups)
    rates = []
    for _ in range(40):  # sets that estimate their own spread and make a claim, which is then tried
        claim = detectable([[chance.gauss(0.0, SPREAD)] * 200 for _ in range(groups)])
        assert claim is not None
        rates.append(found_by_the_test(claim, groups, chance, 50))
    assert statistics.fmean(rates) == pytest.approx(POWER, abs=0.06)


def test_no_power_without_an_effect_or_with_too_few_repositories() -> None:
    assert power(0.0, 0.1, [1] * 12, 0.05) == 0.0
    assert power(9.0, 0.1, [1] * 5, 0.05) == 0.0
    assert least_effect([1] * 5, 0.05) == float("inf")


def test_power_rises_with_the_effect_and_with_repositories() -> None:
    by_effect = [power(effect, 0.1, [1] * 8, 0.05) for effect in (0.02, 0.05, 0.1, 0.2)]
    by_size = [power(0.05, 0.1, [1] * size, 0.05) for size in (7, 12, 20, 40)]
    assert by_effect == sorted(by_effect)
    assert by_size == sorted(by_size)


def test_as_many_repositories_are_needed_as_give_the_power() -> None:
    needed = groups_needed(0.1, 0.1, 9, 0.05)
    assert needed is not None
    assert power(0.1, 0.1, [1] * needed, 0.05, 9) >= POWER > power(0.1, 0.1, [1] * (needed - 2), 0.05, 9)
    assert groups_needed(0.001, 1.0, 9, 0.05) is None
    assert groups_needed(-0.1, 0.1, 9, 0.05) is None
    assert groups_needed(0.1, 0.0, 9, 0.05) == 6


def test_the_spread_is_that_of_repositories() -> None:
    assert deviation([[1.0], [3.0]]) == pytest.approx(2**0.5)
    assert deviation([[2.0] * 5, [2.0] * 9]) == 0.0
