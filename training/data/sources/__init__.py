"""Training data from the raw database: accepted answers of passing runs, and preferences between answers."""

from training.data.sources.funnel import Funnel
from training.data.sources.read import StoredExamples, read_pairs, read_unverified

__all__ = ["Funnel", "StoredExamples", "read_pairs", "read_unverified"]
