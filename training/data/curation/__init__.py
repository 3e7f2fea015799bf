"""Curation of datasets: filtering, deduplication, decontamination, balancing, replay, versioning."""

from training.data.curation.advice import TrainingAdvice, advise, read_advice
from training.data.curation.card import Card
from training.data.curation.curate import Curated, curate
from training.data.curation.unverified import UnverifiedDraw, curate_unverified

__all__ = [
    "Card",
    "Curated",
    "TrainingAdvice",
    "UnverifiedDraw",
    "advise",
    "curate",
    "curate_unverified",
    "read_advice",
]
