"""Metrics of judgements pooled over many questions: average precision, recall at a precision, balanced accuracy, F1.

A judgement is of one candidate: a file in scope, a symbol in precision. Accuracy rewards calling everything by the
commonest class, and recall alone rewards calling everything relevant; these metrics reward neither. numpy is imported
on use.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from models.evaluation import ClassJudgement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FIXED_PRECISION = 0.5
"""Precision at which recall is reported: half of what is called positive is."""
BINS = 10


class ClassificationScores(NamedTuple):
    """Metrics of a set of judgements. A metric that cannot be defined (no positive, no candidate) is None."""

    average_precision: float | None
    recall_at_precision: float | None
    recall: float | None
    macro_f1: float | None
    balanced_accuracy: float | None
    accuracy: float | None
    judgements: int


def classification_scores(judgements: Sequence[ClassJudgement], positive: str) -> ClassificationScores:
    """All metrics of some judgements; `positive` is the class that must be found."""
    expected = [each.expected for each in judgements]
    given = [each.given for each in judgements]
    scores = ranking_scores(judgements, positive)
    hits = [label == positive for label in expected]
    found = [right == answer == positive for right, answer in zip(expected, given, strict=True)]
    return ClassificationScores(
        average_precision=average_precision(scores, hits),
        recall_at_precision=recall_at_precision(scores, hits),
        recall=sum(found) / sum(hits) if any(hits) else None,
        macro_f1=pooled_macro_f1(expected, given),
        balanced_accuracy=balanced_accuracy(expected, given),
        accuracy=sum(a == b for a, b in zip(expected, given, strict=True)) / len(given) if given else None,
        judgements=len(judgements),
    )


def ranking_scores(judgements: Sequence[ClassJudgement], positive: str) -> list[float]:
    """What average precision sorts by: the probability of the positive class where every judgement has one; else the
    hard class, positive ones first, and within each class the place in the ranking (first place first)."""
    if all(each.probability is not None for each in judgements):
        return [each.probability for each in judgements if each.probability is not None]
    return [float(each.given == positive) + 1 / (1 + max(each.place, 1)) for each in judgements]


def average_precision(scores: Sequence[float], positives: Sequence[bool]) -> float | None:
    """Sum of precision times the gain of recall over falling thresholds; equal scores share one threshold, so that
    their order does not matter. None without a positive. Raises ValueError for a score that is not a number.

    As in Manning, Raghavan and Schuetze, Introduction to Information Retrieval (2008), 8.4, without interpolation.
    """
    import numpy as np

    precision, recall = _precision_recall(scores, positives)
    if recall is None or precision is None:
        return None
    return float(np.sum(np.diff(np.concatenate([[0.0], recall])) * precision))


def recall_at_precision(
    scores: Sequence[float], positives: Sequence[bool], precision: float = FIXED_PRECISION
) -> float | None:
    """The largest recall of any threshold at which at least that share of what is above it is positive; 0 if there is
    no such threshold, None without a positive. Raises as `average_precision` does."""
    import numpy as np

    precisions, recalls = _precision_recall(scores, positives)
    if recalls is None or precisions is None:
        return None
    reached = recalls[precisions >= precision - 1e-12]
    return float(np.max(reached)) if reached.size else 0.0


def _precision_recall(scores: Sequence[float], positives: Sequence[bool]) -> tuple["Array | None", "Array | None"]:
    """Precision and recall at each distinct threshold, falling; None without a positive."""
    import numpy as np

    values, hits = np.asarray(scores, dtype=float), np.asarray(positives, dtype=float)
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{int(np.sum(~np.isfinite(values)))} of {values.size} scores are not finite numbers")
    if not hits.sum():
        return None, None
    order = np.argsort(-values, kind="stable")
    values, hits = values[order], hits[order]
    last = np.append(np.flatnonzero(np.diff(values)), values.size - 1)
    found = np.cumsum(hits)[last]
    return found / (last + 1), found / hits.sum()


def pooled_macro_f1(expected: Sequence[str], given: Sequence[str]) -> float | None:
    """F1 averaged over the expected classes, each class counting the same; None without a judgement."""
    values = []
    for label in sorted(set(expected)):
        agreed = sum(a == b == label for a, b in zip(expected, given, strict=True))
        values.append(2 * agreed / (expected.count(label) + given.count(label)))
    return math.fsum(values) / len(values) if values else None


def balanced_accuracy(expected: Sequence[str], given: Sequence[str]) -> float | None:
    """Recall averaged over the expected classes (Brodersen et al. 2010); None without a judgement."""
    values = list(recalls(expected, given).values())
    return math.fsum(values) / len(values) if values else None


def recalls(expected: Sequence[str], given: Sequence[str]) -> dict[str, float]:
    """The recall of each expected class."""
    return {
        label: sum(a == b == label for a, b in zip(expected, given, strict=True)) / expected.count(label)
        for label in sorted(set(expected))
    }


class CalibrationBin(NamedTuple):
    """Judgements whose probability lies in one interval: their number, mean probability, share that is positive."""

    size: int
    probability: float
    share: float


def calibration(scores: Sequence[float], positives: Sequence[bool], bins: int = BINS) -> list[CalibrationBin]:
    """A reliability diagram: judgements in order of their probability in `bins` groups of about equal size."""
    import numpy as np

    order = np.argsort(np.asarray(scores, dtype=float), kind="stable")
    groups = [group for group in np.array_split(order, bins) if group.size]
    values, hits = np.asarray(scores, dtype=float), np.asarray(positives, dtype=float)
    return [CalibrationBin(int(g.size), float(values[g].mean()), float(hits[g].mean())) for g in groups]


def calibration_error(scores: Sequence[float], positives: Sequence[bool], bins: int = BINS) -> float | None:
    """Expected calibration error over groups of equal size (Naeini et al. 2015; Nixon et al. 2019 on equal sizes);
    None without a judgement."""
    found = calibration(scores, positives, bins)
    total = sum(each.size for each in found)
    return sum(each.size * abs(each.probability - each.share) for each in found) / total if total else None
