"""What the raw database has to learn from: answers that stood in runs that passed, and preferences between answers."""

from training.data.sources.funnel import Funnel
from training.data.sources.read import StoredExamples, read_pairs

__all__ = ["Funnel", "StoredExamples", "read_pairs"]
