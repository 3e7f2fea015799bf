"""Runs become datasets: filtered, without duplicates and evaluation items, balanced, mixed with replay, versioned."""

from training.data.curation.advice import TrainingAdvice, advise, read_advice
from training.data.curation.card import Card
from training.data.curation.curate import Curated, curate

__all__ = ["Card", "Curated", "TrainingAdvice", "advise", "curate", "read_advice"]
