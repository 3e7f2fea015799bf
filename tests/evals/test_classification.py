"""Metrics over pooled judgements."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.classification import (
    average_precision,
    balanced_accuracy,
    calibration_error,
    classification_scores,
    pooled_macro_f1,
    recall_at_precision,
)
from models.evaluation import ClassJudgement

ROWS = st.lists(st.tuples(st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9]), st.booleans()), min_size=1, max_size=40)


def judged(expected: str, given: str, probability: float | None = None, place: int = 1) -> ClassJudgement:
    return ClassJudgement(expected=expected, given=given, probability=probability, place=place)


def test_average_precision_agrees_with_the_textbook() -> None:
    assert average_precision([0.9, 0.8, 0.7, 0.6], [True, False, True, False]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([0.5] * 4, [True, False, False, False]) == 0.25
    assert average_precision([0.1, 0.2], [False, False]) is None


@given(ROWS)
@settings(max_examples=60)
def test_the_order_of_equal_scores_does_not_matter(rows: list[tuple[float, bool]]) -> None:
    turned = rows[::-1]
    one, other = (average_precision([s for s, _ in each], [hit for _, hit in each]) for each in (rows, turned))
    assert one == pytest.approx(other)
    assert one is None or sum(hit for _, hit in rows) / len(rows) - 1e-9 <= one * len(rows) <= len(rows)


@given(ROWS)
@settings(max_examples=60)
def test_recall_at_a_precision_is_one_at_the_rate_of_positives_and_falls(rows: list[tuple[float, bool]]) -> None:
    scores, hits = [s for s, _ in rows], [hit for _, hit in rows]
    if not any(hits):
        assert recall_at_precision(scores, hits) is None
        return
    assert recall_at_precision(scores, hits, sum(hits) / len(hits)) == 1.0
    levels = [recall_at_precision(scores, hits, level) for level in (0.1, 0.5, 0.9)]
    assert levels == sorted(levels, key=lambda each: -(each or 0.0))


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2"):
        average_precision([0.5, float("nan")], [True, False])


def test_calling_everything_relevant_gains_nothing() -> None:
    labels = ["relevant", "supporting", "irrelevant", "irrelevant"] * 5
    lazy = [judged(label, "relevant", place=n % 4 + 1) for n, label in enumerate(labels)]
    shuffled = [judged(label, "relevant", place=4 - n % 4) for n, label in enumerate(labels)]
    honest = [judged(label, label, place=n % 4 + 1) for n, label in enumerate(labels)]
    assert classification_scores(lazy, "relevant").recall == 1.0
    assert classification_scores(lazy, "relevant").balanced_accuracy == pytest.approx(1 / 3)
    assert classification_scores(shuffled, "relevant").average_precision == 0.25
    scores = classification_scores(honest, "relevant")
    assert (scores.average_precision, scores.macro_f1, scores.accuracy) == (1.0, 1.0, 1.0)


def test_probabilities_rank_where_all_have_one_and_classes_where_one_has_none() -> None:
    rows = [judged("relevant", "irrelevant", 0.4), judged("irrelevant", "relevant", 0.3)]
    assert classification_scores(rows, "relevant").average_precision == 1.0
    assert classification_scores([rows[0], judged("irrelevant", "relevant")], "relevant").average_precision == 0.5


def test_class_metrics_count_each_class_alike() -> None:
    expected, given_ = ["a"] * 9 + ["b"], ["a"] * 10
    assert balanced_accuracy(expected, given_) == 0.5
    assert pooled_macro_f1(expected, given_) == pytest.approx((18 / 19) / 2)
    assert balanced_accuracy([], []) is None


def test_calibration_error_is_the_mean_gap() -> None:
    assert calibration_error([0.5] * 10, [True, False] * 5, bins=1) == 0.0
    assert calibration_error([1.0] * 10, [True, False] * 5) == pytest.approx(0.5)
    assert calibration_error([], []) is None
