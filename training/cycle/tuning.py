"""A full fine-tune of a base, registered as the role's next base."""

from pathlib import Path

from models.targets import Role
from training.bases.bases import Base, add_tuned_base, find_base
from training.bases.thinking import training_settings
from training.cycle.context import TrainingContext
from training.cycle.rules import check_full_training
from training.cycle.steps import TrainingSteps
from training.data.datasets import read_dataset
from training.fit.job import job_for


def tune(context: TrainingContext, steps: TrainingSteps, role: Role, base: str, dataset: Path) -> Base:
    """Train all parameters of a base on a dataset's pairs; returns the new base. A finished training is reused.

    Raises GuardrailError for reserved repositories in the data or a base that is a merge, TrainingError, RegistryError.
    """
    start, card = find_base(context.curated, base), read_dataset(dataset)
    check_full_training(context, start, dataset, card)
    done = steps.fit(
        f"{role} base",
        context,
        job_for(card, dataset, start, "full", training_settings(context.settings, start, card.target)),
    )
    return add_tuned_base(context.curated, context.settings.data_dir, done.path, role)
