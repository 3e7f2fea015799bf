"""The operating point of a classifier: from which probabilities on a file is relevant and a symbol primary."""

from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from models.relevance import LEAST_MEAN, USUAL

Array = NDArray[np.float64]
Judged = tuple[Array, NDArray[np.int64]]
"""Of one question's candidates: probabilities rows x classes, and the right classes."""
RECALL = 0.90
"""Share of the files that change which shall be found, mean of repositories."""
MARGIN = 0.05
"""By how much the point exceeds that on the repositories it is chosen on: others are harder."""
BETA = 2.0
"""How many times recall of primary symbols weighs as much as precision (van Rijsbergen's F): a context that lacks a
symbol costs more than one that shows another."""


def relevant_point(repositories: Iterable[Sequence[Judged]]) -> float:
    """The highest point, in thousandths, at which enough relevant files are found; a half if there are none."""
    found = [scaled for judged in repositories if len(scaled := _scaled(judged))]
    if not found:
        return 0.5

    def recall(least: float) -> float:
        return fmean(float((scaled >= least).mean()) for scaled in found)

    points = (step / 1000 for step in range(999, 1, -1))
    return next((least for least in points if recall(least) >= RECALL + MARGIN), 0.001)


def _scaled(judged: Sequence[Judged]) -> Array:
    """P(relevant) of the relevant files, relative to the mean of their questions, as `least_relevant` has it."""
    found = [
        chances[labels == chances.shape[1] - 1, -1] / sqrt(max(float(chances[:, -1].mean()), LEAST_MEAN) / USUAL)
        for chances, labels in judged
        if len(labels)
    ]
    return np.concatenate(found) if found else np.zeros(0)


def primary_point(chances: Array, is_primary: NDArray[np.bool_]) -> float:
    """The threshold with the highest F of primary symbols, in hundredths."""

    def score(least: float) -> float:
        chosen = chances >= least
        wanted = BETA**2 * is_primary.sum() + chosen.sum()
        return float((1 + BETA**2) * (chosen & is_primary).sum() / max(1.0, wanted))

    return max((step / 100 for step in range(1, 100)), key=score)
