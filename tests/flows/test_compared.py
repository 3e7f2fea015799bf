"""Whole runs are compared over the samples that both have."""

import pytest

from flows.judging import Whole, compared
from models.errors import EvaluationError


def test_a_sample_that_a_fault_took_from_one_side_counts_for_neither() -> None:
    before = {(f"i{n}", seed): seed == 0 for n in range(10) for seed in (0, 1)}
    after = {key: passed for key, passed in before.items() if key != ("i0", 1)}
    first, then = compared(before, after)
    assert first == then
    assert first.pass_at_1 == pytest.approx((1 + 9 * 0.5) / 10)
    assert compared(before, before) == (Whole(0.5, 1.0), Whole(0.5, 1.0))
    with pytest.raises(EvaluationError, match="no sample with a verdict in common"):
        compared(before, {("other", 0): True})
