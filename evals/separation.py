"""How well scores tell one group from another: the area under the ROC curve, and what a threshold lets through."""

from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 2000


@dataclass(frozen=True)
class Separation:
    """The area under the ROC curve with its 95% interval, over so many items."""

    auc: float
    low: float
    high: float
    items: int


def separation(positive: Sequence[float], negative: Sequence[float], seed: int = 0) -> Separation:
    """The chance that an item's positive score is above an item's negative one, ties counted half (Mann and Whitney).

    Both hold one score for each item, in the same order; the interval is from the bootstrap over items, which takes
    both scores of each item drawn. Raises ValueError without items, or for unequal lengths.
    """
    import numpy as np

    if not positive or len(positive) != len(negative):
        raise ValueError(f"{len(positive)} positive and {len(negative)} negative scores are not one pair for each item")
    up, down = np.asarray(positive, dtype=float)[:, None], np.asarray(negative, dtype=float)[None, :]
    wins = (up > down) + 0.5 * (up == down)
    chance = np.random.default_rng(seed)
    drawn = [wins[np.ix_(rows, rows)].mean() for rows in chance.integers(0, len(wins), (RESAMPLES, len(wins)))]
    low, high = (float(value) for value in np.quantile(drawn, [0.025, 0.975]))
    auc = float(wins.mean())
    return Separation(auc, min(low, auc), max(high, auc), len(wins))


def shares_from(threshold: float, *groups: Sequence[float]) -> tuple[float, ...]:
    """The share of each group with a score of at least `threshold`."""
    return tuple(sum(score >= threshold for score in group) / len(group) for group in groups)
