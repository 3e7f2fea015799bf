"""Rates, their intervals, and pass@k."""

import math
import random
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.statistics import SampleCount, mean_pass_at_k, pass_at_k, pass_rate, wilson

samples = st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))
repositories = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.lists(st.integers(1, 4).flatmap(lambda n: st.builds(SampleCount, st.just(n), st.integers(0, n))), min_size=1),
    min_size=1,
)


@given(samples)
def test_pass_at_k_is_the_share_of_draws_with_a_pass(case: tuple[int, int, int]) -> None:
    count, passed, k = case
    outcomes = [True] * passed + [False] * (count - passed)
    draws = [any(draw) for draw in combinations(outcomes, k)]
    assert pass_at_k(count, passed, k) == pytest.approx(float(Fraction(sum(draws), len(draws))))


@pytest.mark.parametrize("bad", [(2, 1, 3), (2, 1, 0), (2, 3, 1), (2, -1, 1)])
def test_pass_at_k_refuses_what_it_cannot_estimate(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="needs at least"):
        pass_at_k(*bad)


def test_instances_with_too_few_samples_take_no_part_in_pass_at_k() -> None:
    assert mean_pass_at_k([SampleCount(4, 2), SampleCount(1, 1)], 2) == pass_at_k(4, 2, 2)
    assert mean_pass_at_k([SampleCount(1, 1)], 2) is None


@given(repositories)
def test_an_interval_holds_its_rate_and_is_the_same_each_time(data: dict[str, list[SampleCount]]) -> None:
    rate = pass_rate(data)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    values = [each.passed / each.samples for group in data.values() for each in group]
    assert rate.value == pytest.approx(sum(values) / len(values))
    assert rate == pass_rate(dict(reversed(data.items())))
    assert (rate.instances, rate.repositories, rate.weak) == (len(values), len(data), len(data) < 5)


@pytest.mark.parametrize("passed", [0, 1])
def test_all_alike_is_not_taken_for_certainty(passed: int) -> None:
    rate = pass_rate({name: [SampleCount(1, passed)] * 5 for name in "abcdef"})
    assert rate.method == "Wilson over instances"
    assert rate.high - rate.low > 0.05


def test_no_instances_is_an_error() -> None:
    with pytest.raises(ValueError, match="no instance"):
        pass_rate({"a": []})


def test_wilson_agrees_with_the_textbook() -> None:
    low, high = wilson(0.5, 10)
    assert (round(low, 4), round(high, 4)) == (0.2366, 0.7634)


def test_repositories_that_differ_widen_the_interval_and_it_covers_the_truth() -> None:
    """Twelve repositories with rates of their own: intervals over instances alone would cover far too seldom."""
    chance = random.Random(5)
    covered = narrow = 0
    runs = 120
    for run in range(runs):
        data = {}
        for name in range(12):
            own = chance.betavariate(1.5, 1.5)
            data[str(name)] = [SampleCount(1, int(chance.random() < own)) for _ in range(20)]
        rate = pass_rate(data, seed=run)
        half = 1.96 * math.sqrt(rate.value * (1 - rate.value) / rate.instances)
        covered += rate.low <= 0.5 <= rate.high
        narrow += abs(rate.value - 0.5) <= half
    assert covered / runs >= 0.85
    assert narrow / runs < 0.75
