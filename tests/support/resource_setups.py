"""Trainings to plan: the recipe of the settings for a known shape, with what a test wants changed."""

from typing import Any

from models.training_settings import TrainingSettings
from training.resources.setup import PlanMethod, Rows, TrainingSetup, recipe_of, setup_of
from training.resources.shapes import KNOWN, Shape


def rows(longest: int, count: int = 1000, answer: int | None = None) -> Rows:
    """Rows that are all of one length, a tenth of each the answer."""
    return Rows(longest * count, longest, answer or max(1, longest // 10), count, "as given")


def setup(
    shape: str | Shape = "qwen3-4b",
    method: PlanMethod = "qlora",
    longest: int = 2048,
    *,
    gpu: bool = True,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> TrainingSetup:
    """A training of a shape on rows of one length, not packed unless the settings say so."""
    chosen = TrainingSettings(**({"max_tokens": longest, "packing": False, "micro_batch": 1} | (settings or {})))
    backend = "trl-gpu" if gpu else "trl-cpu"
    known = KNOWN[shape] if isinstance(shape, str) else shape
    recipe = recipe_of("reasoning", method, chosen, backend)  # type: ignore[arg-type]
    return setup_of(known, method, recipe, backend, rows(longest), "sdpa").but(**changes)  # type: ignore[arg-type]
