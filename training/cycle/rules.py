"""The guardrails that are checked before a training, against the databases."""

from pathlib import Path

from evals.sets import all_sets, contamination, reserved_repositories
from evals.tiers import check_tier
from models.errors import GuardrailError, TrainingError
from models.evaluation import EvaluationSet
from training.bases.bases import Base
from training.bases.thinking import base_thinks
from training.cycle import guardrails
from training.cycle.context import TrainingContext
from training.cycle.orders import TrainingInputs, TrainOrder
from training.cycle.tier_status import measure_tier_status
from training.data.curation import Card
from training.data.datasets import trained_before
from training.data.sources.collections import RECIPE


def check_training(context: TrainingContext, order: TrainOrder, inputs: TrainingInputs) -> list[str]:
    """Check the guardrails for training an adapter; returns notes on overridden ones.

    A refusal for the order of tiers, and an override of it, are written to the registry's log. Raises GuardrailError
    for a broken rule, TrainingError for a dataset of another target, or where thinking is set differently for training
    and serving.
    """
    base, card, limits = inputs.base, inputs.card, context.settings.guardrails
    if card.target is not order.target:
        raise TrainingError(f"{inputs.dataset} is a dataset of {card.target.value}, not of {order.target.value}")
    guardrails.check_frozen_base(base.name, base.facts)
    guardrails.check_accumulated(trained_before(context.raw, card, base.id), [*card.rounds.earlier, card.id])
    check_training_data(context, inputs.dataset, card, inputs.evaluation_set)
    base_thinks(context.settings, base, order.target)
    total = sum(card.planners.values())
    taught = sum(card.planners.get(name, 0) for name in ("gold", "teacher", RECIPE))
    guardrails.check_teacher_share(taught, total, int(base.facts["parameters"]), limits)
    guardrails.check_replay(card.rounds.replayed, total, len(card.rounds.earlier), limits, card.rounds.whole)
    now = measure_tier_status(context.raw_engine, context.curated, context.registry, limits)
    guardrails.check_planning_last(order.target, total - taught, now.promoted)
    try:
        note = check_tier(order.target, now, order.override)
    except GuardrailError as error:
        context.registry.refuse(order.target, str(error))
        raise
    if note:
        context.registry.refuse(order.target, note, override=order.override)
    return [f"{note} ({order.override})"] if note else []


def check_training_data(context: TrainingContext, dataset: Path, card: Card, evaluation_set: EvaluationSet) -> None:
    """Raise GuardrailError if a dataset holds reserved repositories, or items of the frozen set."""
    guardrails.check_held_out(list(card.repositories), _reserved(context))
    guardrails.check_uncontaminated([hit.item for hit in contamination(dataset, [evaluation_set])])


def check_full_training(context: TrainingContext, base: Base, dataset: Path, card: Card) -> None:
    """Check the guardrails for a full fine-tune of a base. Raises GuardrailError for a broken one."""
    guardrails.check_frozen_base(base.name, base.facts)
    guardrails.check_uncontaminated([hit.item for hit in contamination(dataset, all_sets(context.curated))])
    guardrails.check_held_out(list(card.repositories), _reserved(context))


def _reserved(context: TrainingContext) -> list[str]:
    return list(reserved_repositories(context.curated, context.raw_engine))
