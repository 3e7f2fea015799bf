"""Whole runs before and after a change, compared over the samples that both have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.whole_runs import Passes, RateChange, compare
from models.errors import EvaluationError

MARGIN, ALPHA = 0.02, 0.20


def passes(*counts: int, samples: int = 2) -> Passes:
    """Runs of as many instances as there are counts, of whose samples so many passed."""
    return {(f"i{n:02}", seed): seed < passed for n, passed in enumerate(counts) for seed in range(samples)}


def loss(before: Passes, after: Passes) -> bool:
    return compare(before, after).at_1.is_loss(MARGIN, ALPHA)


def test_a_sample_that_a_fault_took_from_one_side_counts_for_neither() -> None:
    before = passes(*[1] * 10)
    after = {key: passed for key, passed in before.items() if key != ("i00", 1)}
    at_1 = compare(before, after).at_1
    assert at_1.before == at_1.after == pytest.approx((1 + 9 * 0.5) / 10)
    assert compare(before, before).at_k[:2] == (1.0, 1.0)
    with pytest.raises(EvaluationError, match="no sample with a verdict in common"):
        compare(before, {("other", 0): True})


def test_one_unlucky_sample_is_no_loss() -> None:
    at_1 = compare(passes(*[2] * 10), passes(*[2] * 9, 1)).at_1
    assert (round(at_1.fall, 3), at_1.p) == (0.05, 0.5)
    assert not at_1.is_loss(MARGIN, ALPHA)


def test_a_fall_that_chance_does_not_make_is_a_loss() -> None:
    assert loss(passes(*[2] * 10), passes(*[2] * 7, 0, 0, 0))  # three of three: p = 1/8
    assert not loss(passes(*[2] * 10), passes(*[2] * 8, 0, 0))  # two of two: p = 1/4
    assert not loss(passes(2, 2, 2, 2, 0, 0, 0, 0), passes(0, 0, 0, 2, 2, 2, 2, 2))  # it rose


def test_where_nothing_could_be_told_every_fall_is_a_loss() -> None:
    assert loss(passes(2, 2), passes(2, 1))
    assert not loss(passes(2, 2), passes(2, 2))


def test_a_student_that_solves_little_may_not_lose_all_of_it() -> None:
    assert loss(passes(2, 2, *[0] * 8), passes(*[0] * 10))
    assert loss(passes(1, *[0] * 9), passes(*[0] * 10))


def test_a_lost_sample_takes_one_instance_from_pass_at_k_alone() -> None:
    before, after = passes(*[1] * 20), passes(*[2] * 9, *[0] * 11)
    whole = compare(before, after)
    after = {key: passed for key, passed in after.items() if key != ("i00", 1)}
    less = compare(before, after)
    assert (whole.at_k.before, less.at_k.before, less.at_k.instances) == (1.0, 1.0, 19)
    assert whole.at_k.is_loss(MARGIN, ALPHA) and less.at_k.is_loss(MARGIN, ALPHA)


def test_a_significant_fall_within_the_margin_is_none() -> None:
    assert not RateChange(0.5, 0.49, 0.001, 500, 500).is_loss(MARGIN, ALPHA)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_turning_time_round_turns_the_change_round(counts: list[tuple[int, int]]) -> None:
    before, after = (passes(*side, samples=3) for side in zip(*counts, strict=True))
    there, back = compare(before, after).at_1, compare(after, before).at_1
    assert there.fall == pytest.approx(-back.fall)
    assert there.p + back.p >= 1.0
    assert there.p >= there.smallest_p
