"""Figures of probabilities and classes: accuracy, recall, F1, average precision, calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """Predictions of similar probability: the mean prediction, the share that came true, and how many there are."""

    predicted: float
    observed: float
    rows: int


@dataclass(frozen=True)
class ClassFigures:
    """How good classes and probabilities are. `recall` and `precision` are of the class that matters, the last one, as
    is `average_precision`; `confidence_error` is the calibration error of the likeliest class."""

    rows: int
    accuracy: float
    recall: float
    precision: float
    macro_f1: float
    average_precision: float
    class_error: float
    confidence_error: float


def class_figures(chances: Array, chosen: Ints, labels: Ints) -> ClassFigures:
    """The figures of `n` rows: probabilities `n` x classes, the class chosen for each, and the right one."""
    last = chances.shape[1] - 1
    is_last = labels == last
    return ClassFigures(
        rows=len(labels),
        accuracy=float((chosen == labels).mean()),
        recall=_share((chosen == last) & is_last, is_last),
        precision=_share((chosen == last) & is_last, chosen == last),
        macro_f1=float(np.mean([_f1(chosen == each, labels == each) for each in range(last + 1)])),
        average_precision=average_precision(chances[:, last], is_last),
        class_error=error_of(reliability(chances[:, last], is_last)),
        confidence_error=calibration_error(chances, labels),
    )


def average_precision(scores: Array, is_class: Bools) -> float:
    """Mean precision at each row of the class, rows by falling score; 0 without any.

    Rows of equal score count together, so that their order does not matter."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(is_class[order])
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1) if len(order) else np.array([], int)
    found = hits[ends] if len(order) else np.array([])
    if not len(order) or found[-1] == 0:
        return 0.0
    gained = np.diff(found, prepend=0)
    return float((gained * found / (ends + 1)).sum() / found[-1])


def reliability(chances: Array, happened: Bools, bins: int = BINS) -> list[Bin]:
    """Predictions by probability, in equal bins from 0 to 1, without empty ones."""
    places = np.minimum((chances * bins).astype(int), bins - 1)
    return [
        Bin(float(chances[places == each].mean()), float(happened[places == each].mean()), int((places == each).sum()))
        for each in range(bins)
        if (places == each).any()
    ]


def error_of(bins: list[Bin]) -> float:
    """Expected calibration error (Naeini et al. 2015): the mean distance of prediction and truth, by rows."""
    rows = sum(each.rows for each in bins)
    return sum(each.rows * abs(each.predicted - each.observed) for each in bins) / rows if rows else 0.0


def calibration_error(chances: Array, labels: Ints) -> float:
    """Expected calibration error of the likeliest class's probability (Guo et al. 2017)."""
    return error_of(reliability(chances.max(1), chances.argmax(1) == labels)) if len(labels) else 0.0


def _share(found: Bools, wanted: Bools) -> float:
    return float(found.sum() / wanted.sum()) if wanted.any() else 0.0


def _f1(chosen: Bools, right: Bools) -> float:
    """F1 of a class; 1 for one that is neither chosen nor right."""
    together = chosen.sum() + right.sum()
    return float(2 * (chosen & right).sum() / together) if together else 1.0
