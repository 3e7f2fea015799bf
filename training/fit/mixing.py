"""What a training on a mixture watches and reports of each objective."""

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from models.objectives import Objective
from training.fit.columns import packs_of
from training.fit.data import TrainingRow, TrainingRows, training_order
from training.fit.monitor import TrainingMonitor
from training.fit.recipe import Recipe
from training.fit.result import ObjectiveFit
from training.fit.row_losses import answer_losses
from training.fit.sampler import drawn_rows
from training.fit.schedule import accumulated


def judge_objectives(rows: TrainingRows, recipe: Recipe) -> Callable[[Any], dict[str, float]]:
    """A function that measures a model's loss on the validation rows: by objective, and as `loss` their mean by the
    objectives' shares."""
    shares = dict(recipe.mixture)

    def judge(model: Any) -> dict[str, float]:
        found: dict[Objective, list[float]] = {}
        for row, loss in zip(rows.validation, answer_losses(model, rows.validation), strict=True):
            found.setdefault(row.objective, []).append(loss.mean)
        losses = {objective: fmean(values) for objective, values in found.items()}
        total = sum(shares[objective] for objective in losses)
        mean = sum(shares[objective] * loss for objective, loss in losses.items()) / total
        return {"loss": mean} | {f"loss_{objective.value}": loss for objective, loss in losses.items()}

    return judge


def objective_results(
    rows: TrainingRows, recipe: Recipe, watch: TrainingMonitor, best: int
) -> dict[Objective, ObjectiveFit]:
    """What became of each objective in the steps that ran; empty without a mixture. `best`: the step of the weights."""
    if not recipe.mixture:
        return {}
    training, validation = watch.objective_losses("loss"), watch.objective_losses("eval_loss")
    every, ran = Counter(row.objective for row in rows.train), _ran(rows.train, recipe, len(watch.losses))
    drawn, learned = Counter(row.objective for row in ran), Counter[Objective | None]()
    for row in ran:
        learned[row.objective] += len(row.answer)
    return {
        objective: ObjectiveFit(
            rows=every[objective],
            drawn=drawn[objective],
            share=round(drawn[objective] / drawn.total(), 4),
            token_share=round(learned[objective] / learned.total(), 4),
            first=_mean([loss for _, loss in training.get(objective, [])], first=True),
            last=_mean([loss for _, loss in training.get(objective, [])], first=False),
            validation=dict(validation.get(objective, ())).get(best),
        )
        for objective in drawn_rows([(row.objective, row.weight) for row in rows.train], recipe)
    }


def _ran(rows: Sequence[TrainingRow], recipe: Recipe, steps: int) -> list[TrainingRow]:
    """The rows that were trained on in the first steps, each as often as it was."""
    order = training_order(rows, recipe)
    entries = packs_of(rows, order, recipe.max_tokens) if recipe.packing else [[rows[index]] for index in order]
    accumulation, _ = accumulated(len(entries), len(order) / len(entries), recipe)
    return [row for entry in entries[: steps * accumulation * recipe.micro_batch] for row in entry]


def _mean(losses: Sequence[float], *, first: bool) -> float | None:
    """The mean of a tenth of the losses, from either end; None without any."""
    tenth = -(-len(losses) // 10)
    return fmean(losses[:tenth] if first else losses[-tenth:]) if losses else None
