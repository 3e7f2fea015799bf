"""What the raw database has to learn from: answers that stood in runs that passed, and preferences between answers."""

from training.pairs.funnel import Funnel
from training.pairs.read import Harvest, read_pairs

__all__ = ["Funnel", "Harvest", "read_pairs"]
