"""A teacher's opinion of the student's own answers, before they count as examples."""

from training.scoring.scorer import Opinion, Scorer, read_opinion
from training.scoring.wanting import Unscored, keep, unscored

__all__ = ["Opinion", "Scorer", "Unscored", "keep", "read_opinion", "unscored"]
