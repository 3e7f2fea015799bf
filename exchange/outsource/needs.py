"""What a training takes, roughly: enough to refuse a machine that is far too small before anything is installed."""

from exchange.outsource.layout import Needs
from training.bases.bases import Base
from training.data.curation import Card
from training.fit.recipe import Recipe, TrainingBackend, applied

_GIB = 1 << 30
_ENVIRONMENT = {"trl-cpu": 8 * _GIB, "trl-gpu": 10 * _GIB, "unsloth-gpu": 12 * _GIB}
"""Bytes of an environment; the wheels are about half of it."""
_SPEED = {"trl-cpu": 2e10, "trl-gpu": 5e13, "unsloth-gpu": 7e13}
"""Floating-point operations per second that a training gets of one core, or of a card with 24 GB."""
_FULL, _FROZEN, _NF4 = 16.0, 4.0, 0.75
"""Bytes per parameter: trained with AdamW in float32; frozen in float32; frozen in NF4 with its constants."""


def needs_of(base: Base, card: Card, recipe: Recipe, backend: TrainingBackend, *, wheels: bool) -> Needs:
    """What a training takes. Tokens are those of the whole dataset in all epochs, at most those of `max_steps`; a
    token costs six operations per parameter, eight with checkpointing (Kaplan et al. 2020)."""
    parameters, used = int(base.facts["parameters"]), applied(recipe, backend)
    tokens = card.tokens["total"] * used.epochs
    if used.max_steps is not None:
        tokens = min(tokens, used.max_steps * used.batch_size * used.max_tokens)
    each = 8 if used.gradient_checkpointing != "no" else 6
    frozen = _NF4 if used.quantisation == "nf4-double" else _FROZEN
    weights = int(parameters * (_FULL if used.method == "full" else frozen))
    gpu = backend != "trl-cpu"
    environment = _ENVIRONMENT[backend]
    return Needs(
        disk=environment + (environment // 2 if wheels else 0) + 6 * 4 * parameters,
        memory=4 * parameters + 2 * _GIB if gpu else weights + 4 * parameters + _GIB,
        gpu_memory=max(weights, 4 * parameters) + 3 * _GIB if gpu else 0,
        tokens=tokens,
        seconds=max(1, int(each * parameters * tokens / _SPEED[backend])),
    )
