"""Evaluation sets: held-out questions with known answers, built from gold campaigns, frozen, never trained on."""

from evals.sets.build import build_set, estimate_prompt
from evals.sets.campaigns import InstanceScores, in_common, scores_from_campaign
from evals.sets.copies import copies_among, copy_of_reserved, first_copy_of_reserved
from evals.sets.frozen import freeze, latest_set, require_untrained, reserve, reserved_repositories
from evals.sets.leakage import Contamination, contamination
from store.learning.datasets import curated_from, trained_repositories
from store.learning.evaluation_sets import all_sets
from store.learning.reservations import reserved
from store.runs.corpus import known_repositories

__all__ = [
    "Contamination",
    "InstanceScores",
    "all_sets",
    "build_set",
    "contamination",
    "copies_among",
    "copy_of_reserved",
    "curated_from",
    "estimate_prompt",
    "first_copy_of_reserved",
    "freeze",
    "in_common",
    "known_repositories",
    "latest_set",
    "require_untrained",
    "reserve",
    "reserved",
    "reserved_repositories",
    "scores_from_campaign",
    "trained_repositories",
]
