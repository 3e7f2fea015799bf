"""Trains a critic: an adapter of its own target that answers both orders of each comparison, and nothing else."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.critic.judging import question_of
from evals.critic.selection import choose
from models.comparisons import Comparison, Part
from models.errors import TrainingError
from models.training import TrainingTarget
from store.keys import digest
from training.adapters.registry import AdapterVersion
from training.bases.bases import Base
from training.bases.chat_format import ChatFormat
from training.bases.thinking import base_thinks
from training.critic.data import CriticData, require
from training.critic.prompt import LETTERS, PROMPT_VERSION, critic_prompt
from training.cycle import guardrails
from training.cycle.context import TrainingContext
from training.fit.backends import choose_backend
from training.fit.recipe import Recipe, applied, recipe_for
from training.pointwise.letters import FIT, WARMUP, LetterFit, LetterRow, LetterTraining, Step
from training.quiet import quiet_libraries

FIT_VERSION = "critic-1"
"""Raised when the same comparisons, base and recipe would give another adapter."""
LEARNING_RATE = 5e-4
"""Peak of the cosine schedule, as of the study's pointwise learner."""
PER_STEP = 4
"""Comparisons per optimizer step, each with both orders, so that no step favours a letter."""
FOLDER = "critics"


@dataclass(frozen=True)
class CriticOrder:
    """What is trained: a base, how many comparisons of the training part (None: all), passes over them, the seed.

    balanced: the better version is longer in half of them. Where it is in two thirds, a small model learns length.
    """

    base: Base
    comparisons: int | None = None
    epochs: int = 1
    seed: int = 0
    balanced: bool = True


def steps_of(comparisons: Sequence[Comparison], epochs: int, seed: int) -> list[Step]:
    """The steps of a training: each comparison once an epoch, in both orders at once, in random order."""
    chance = random.Random(seed)
    steps: list[Step] = []
    for _ in range(epochs):
        order = sorted(comparisons, key=lambda each: each.id)
        chance.shuffle(order)
        groups = [rows_of(each) for each in order]
        steps += [groups[start : start + PER_STEP] for start in range(0, len(groups), PER_STEP)]
    return steps


def rows_of(comparison: Comparison) -> list[LetterRow]:
    """Both orders of a comparison: the better version is A in one and B in the other."""
    question = question_of(comparison)
    return [
        LetterRow(critic_prompt(question), LETTERS[0], 1.0),
        LetterRow(critic_prompt(question.reversed), LETTERS[1], 1.0),
    ]


def train_critic(
    context: TrainingContext, order: CriticOrder, data: CriticData, progress: Callable[[int, int], None]
) -> AdapterVersion:
    """Train a critic on the training part and register it; one that was trained equally is found, a stopped training
    goes on.

    Raises TrainingError for an empty training part or a loss that is not finite, GuardrailError for a base that is not
    frozen, RegistryError.
    """
    guardrails.check_frozen_base(order.base.name, order.base.facts)
    chosen = choose(data.by_part[Part.TRAINING], Part.TRAINING, order.comparisons, order.seed, balanced=order.balanced)
    require(data.by_part[Part.TRAINING], Part.TRAINING, data)
    if not chosen:
        raise TrainingError(
            "the comparisons are all alike in whether the better version is longer, or fewer than two were asked for; "
            "take them as they come with --any-length"
        )
    thinking = base_thinks(context.settings, order.base, TrainingTarget.CRITIC)
    recipe = _recipe(context, order)
    dataset = digest("comparisons", *sorted(each.id for each in chosen))
    shape = (PER_STEP, WARMUP, PROMPT_VERSION, FIT_VERSION)
    job = digest("critic", dataset, order.base.id, recipe.id, thinking, *shape)
    path = context.settings.data_dir / FOLDER / job[:16]
    if not (path / FIT).exists():
        with context.device(), quiet_libraries():
            chat = ChatFormat.load(order.base.path, thinking)
            training = LetterTraining(order.base, recipe, chat, path, progress)
            training.run(steps_of(chosen, order.epochs, order.seed), dict.fromkeys(LETTERS, 1.0))
    return _registered(context, order, recipe, chosen, data, path, dataset, job)


def _recipe(context: TrainingContext, order: CriticOrder) -> Recipe:
    recipe = recipe_for(TrainingTarget.CRITIC, "sft", context.settings.training)
    changed = recipe.model_copy(update={"learning_rate": LEARNING_RATE, "epochs": order.epochs, "seed": order.seed})
    return applied(changed, choose_backend())


def _registered(
    context: TrainingContext,
    order: CriticOrder,
    recipe: Recipe,
    chosen: Sequence[Comparison],
    data: CriticData,
    path: Path,
    dataset: str,
    job: str,
) -> AdapterVersion:
    fit = LetterFit.model_validate_json((path / FIT).read_bytes())
    metrics = {
        "comparisons": len(chosen),
        "criteria": dict(sorted(Counter(each.criterion.value for each in chosen).items())),
        "better_is_longer": sum(each.better_is_longer for each in chosen),
        "repositories": sorted({each.repository for each in chosen}),
        "collections": list(data.collections),
        "steps": len(fit.losses),
        "tokens": fit.tokens,
        "cpu_seconds": round(fit.cpu_seconds, 1),
        "first_loss": fit.losses[0],
        "last_loss": fit.losses[-1],
    }
    config = {"backend": choose_backend(), "epochs": order.epochs, "seed": order.seed, "rank": recipe.rank}
    return context.registry.register(
        path / "adapter",
        TrainingTarget.CRITIC,
        order.base.id,
        dataset,
        job,
        metrics,
        config | {"collections": list(data.collections), "repositories": metrics["repositories"]},
        FIT_VERSION,
    )
