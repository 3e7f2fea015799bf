"""How many rows of a class may be missed before its recall can no longer be believed to reach a goal.

The Neyman-Pearson umbrella rule (Tong, Feng and Li, "Neyman-Pearson classification algorithms and NP receiver operating
characteristics", Science Advances 2018): so few of a sample's rows may be missed that, were the recall below the goal,
as few would be missed with a probability of at most one less the confidence. It takes rows as independent. Rows of one
question or repository are not, so the goal is exceeded on the sample, and may still be missed on other repositories.
And it is a rule for one threshold: where several offsets are chosen on the same rows, by another figure, the confidence
is somewhat lower than it says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

CONFIDENCE = 0.9


@dataclass(frozen=True)
class RecallFloor:
    """The goal for the recall of one class, which is given by its number."""

    label: int
    recall: float
    confidence: float = CONFIDENCE

    def allowed(self, gold: Sequence[int]) -> int | None:
        """How many rows of the class may be missed of these; None: they are too few to believe anything."""
        return most_misses(sum(label == self.label for label in gold), self.recall, self.confidence)


def most_misses(rows: int, recall: float, confidence: float = CONFIDENCE) -> int | None:
    """The most misses among so many rows that show, with this confidence, a recall of at least `recall`.

    None: not even finding all of them does.
    """
    chance, most = 0.0, None
    for missed in range(rows + 1):
        chance += comb(rows, missed) * (1 - recall) ** missed * recall ** (rows - missed)
        if chance > 1 - confidence:
            break
        most = missed
    return most


def fewest_rows(recall: float, confidence: float = CONFIDENCE) -> int:
    """The fewest rows of a class with which a recall above 0 and below 1 can be shown: all of them are found."""
    rows = 1
    while most_misses(rows, recall, confidence) is None:
        rows += 1
    return rows
