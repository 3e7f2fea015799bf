"""A full fine-tune of a base, registered as a candidate for its role; it serves once it is promoted."""

from pathlib import Path

from models.targets import Role
from training.adapters.registry.base_registry import BaseRegistry
from training.adapters.registry.succession import named_base
from training.bases.bases import Base
from training.bases.thinking import training_settings
from training.cycle.context import TrainingContext
from training.cycle.rules import check_full_training
from training.cycle.steps import TrainingSteps
from training.data.datasets import read_dataset
from training.fit.job import FIT_VERSION, job_for

_STATED = {"learning_rate", "epochs", "batch_size", "max_tokens", "max_steps"}
"""The recipe's fields in a base's statement; the job's row holds all of them."""


def tune(context: TrainingContext, steps: TrainingSteps, role: Role, base: str, dataset: Path) -> Base:
    """Train all parameters of a base on a dataset's pairs; returns the candidate. A finished training is reused.

    Raises GuardrailError for reserved repositories in the data or a base that is a merge, TrainingError, RegistryError.
    """
    start, card = named_base(context.curated, base), read_dataset(dataset)
    check_full_training(context, start, dataset, card)
    job = job_for(card, dataset, start, "full", training_settings(context.settings, start, card.target))
    done = steps.fit(f"{role} base", context, job)
    return BaseRegistry(context.curated, context.settings.data_dir).register(
        done.path,
        role,
        start,
        dataset=card.id,
        datasets=[],
        job=done.job,
        config={
            "backend": done.backend,
            "steps": done.steps,
            "tokens": done.tokens,
            "seconds": round(done.seconds, 1),
            **job.recipe.model_dump(mode="json", include=_STATED),
        },
        code_revision=FIT_VERSION,
    )
