"""Curation of datasets: filtering, deduplication, decontamination, balancing, replay, versioning."""

from training.data.curation.advice import TrainingAdvice, advise, read_advice
from training.data.curation.card import Card
from training.data.curation.curate import Curated, curate

__all__ = ["Card", "Curated", "TrainingAdvice", "advise", "curate", "read_advice"]
