"""The area under the ROC curve of scores, its interval, and what thresholds let through."""

import pytest

from evals.separation import separation, shares_from


def test_scores_that_part_the_groups_have_an_area_of_one() -> None:
    found = separation([3, 4, 5], [1, 2, 2.5])
    assert (found.auc, found.low, found.high, found.items) == (1.0, 1.0, 1.0, 3)


def test_equal_scores_say_nothing_and_ties_count_half() -> None:
    assert separation([2, 2], [2, 2]).auc == 0.5
    assert separation([1, 3], [2, 2]).auc == 0.5
    assert separation([2, 3], [2, 1]).auc == 0.875


def test_the_interval_holds_the_area_is_the_same_each_time_and_narrows_with_items() -> None:
    few, many = ([float(n % 5) for n in range(size)] for size in (10, 200))
    lower = [[score - 0.5 - (place % 3) for place, score in enumerate(group)] for group in (few, many)]
    wide, narrow = (separation(group, low) for group, low in zip((few, many), lower, strict=True))
    assert wide == separation(few, lower[0])
    assert wide.low <= wide.auc <= wide.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_groups_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="2 positive and 1 negative"):
        separation([1, 2], [1])


def test_shares_count_the_threshold_itself() -> None:
    assert shares_from(4, [4, 5, 3, 4.5], [1, 4]) == (0.75, 0.5)
