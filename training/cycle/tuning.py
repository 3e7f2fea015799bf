"""A full fine-tune of a base, registered as a candidate for its role; it serves once it is promoted.

On one dataset, or on a mixture: the rows of several, each serving an objective (style, role, planning, window,
position), with a share for each objective.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.errors import UsageError
from models.mixture import MixtureSettings
from models.objectives import Objective, read_objectives, sources_of
from models.plans import Frozen
from models.targets import Role
from training.adapters.registry.base_registry import BaseRegistry
from training.adapters.registry.succession import named_base
from training.bases.bases import Base
from training.bases.thinking import training_settings
from training.bases.windows import reduced_base
from training.cycle.context import TrainingContext
from training.cycle.rules import check_full_training
from training.cycle.steps import TrainingSteps
from training.data.datasets import read_dataset
from training.data.mixtures import make_mixture, read_mixture
from training.fit.job import FIT_VERSION, TrainingJob, job_for

_STATED = {"learning_rate", "epochs", "batch_size", "max_tokens", "max_steps", "masters", "watch"}
"""The recipe's fields in a base's statement; the job's row holds all of them."""


class TuneOrder(Frozen):
    """A full fine-tune to do, on a dataset or on a mixture; `objectives`: those of the mixture to train on, empty: all
    that it names, or has. window: a smaller context window, in tokens."""

    role: Role
    base: str
    dataset: Path | None = None
    mixture: MixtureSettings | None = None
    objectives: tuple[Objective, ...] = ()
    window: int | None = None


def make_order(
    role: Role,
    base: str,
    dataset: Path | None,
    mix: Path | None,
    objectives: str | None = None,
    window: int | None = None,
) -> TuneOrder:
    """An order as a person gives it. Raises UsageError unless one of dataset and mix is given, for a mix that cannot be
    read, and for the objective window without a window."""
    if (dataset is None) == (mix is None):
        raise UsageError("a full fine-tune is on one dataset (--dataset DIR) or on a mixture of some (--mix FILE)")
    if objectives is not None and mix is None:
        raise UsageError("--objectives chooses among those of a mixture; give --mix FILE")
    mixture = None if mix is None else read_mixture(mix)
    chosen = () if objectives is None else read_objectives(objectives)
    named = chosen or (() if mixture is None else tuple(mixture.objectives))
    if Objective.WINDOW in named and window is None:
        raise UsageError(f"objective window needs {sources_of(Objective.WINDOW)}; give it, or leave the objective out")
    return TuneOrder(
        role=role,
        base=base,
        dataset=None if dataset is None else dataset.resolve(),
        mixture=mixture,
        objectives=chosen,
        window=window,
    )


def tune(context: TrainingContext, steps: TrainingSteps, order: TuneOrder) -> Base:
    """Train all parameters of a base; returns the candidate. A finished training is reused.

    Raises GuardrailError for reserved repositories in the data or a base that is a merge, TrainingError, RegistryError.
    """
    start = named_base(context.curated, order.base)
    job, datasets = _job(context, order, start)
    done = steps.fit(f"{order.role} base", context, job)
    measured: dict[str, Any] = {name: done.metrics[name] for name in ("changed", "objectives") if name in done.metrics}
    return BaseRegistry(context.curated, context.settings.data_dir).register(
        done.path,
        order.role,
        start,
        dataset=job.card.id,
        datasets=datasets,
        job=done.job,
        config={
            "backend": done.backend,
            "steps": done.steps,
            "tokens": done.tokens,
            "seconds": round(done.seconds, 1),
            **job.recipe.model_dump(mode="json", include=_STATED),
            **measured,
        },
        code_revision=FIT_VERSION,
        window=order.window,
    )


def _job(context: TrainingContext, order: TuneOrder, start: Base) -> tuple[TrainingJob, Sequence[str]]:
    """The training, and the datasets of its mixture (ids; none without one)."""
    data_dir = context.settings.data_dir
    changes: dict[str, Any] = {}
    datasets: tuple[str, ...] = ()
    if order.mixture is None:
        assert order.dataset is not None, "an order has a dataset or a mixture"
        directory, card = order.dataset, read_dataset(order.dataset)
    else:
        mixed = make_mixture(context.raw, data_dir, order.mixture, order.role, order.objectives)
        directory, card, datasets = mixed.directory, mixed.card, mixed.datasets
        changes["mixture"] = tuple((objective, round(share, 6)) for objective, share in mixed.shares.items())
    check_full_training(context, start, directory, card)
    settings = training_settings(context.settings, start, card.target)
    if order.window is not None:
        start = reduced_base(start, order.window, data_dir / "reduced" / f"{start.id[:12]}-{order.window}")
        changes["max_tokens"] = min(settings.max_tokens, order.window)
    job = job_for(card, directory, start, "full", settings)
    return replace(job, recipe=job.recipe.model_copy(update=changes)), datasets
