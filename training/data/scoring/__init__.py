"""A teacher's scores of the student's own answers, before they become examples."""

from store.learning.answer_scores import Opinion
from training.data.scoring.scorer import Scorer, read_opinion
from training.data.scoring.unscored import Unscored, keep, unscored

__all__ = ["Opinion", "Scorer", "Unscored", "keep", "read_opinion", "unscored"]
