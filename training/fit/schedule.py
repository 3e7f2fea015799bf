"""How many optimizer steps a training takes."""

from collections.abc import Sequence

from training.fit.columns import packed
from training.fit.data import TrainingRow, training_order
from training.fit.recipe import Recipe


def accumulated(sequences: int, rows_each: float, recipe: Recipe) -> tuple[int, int]:
    """Micro-batches per optimizer step, and the steps over so many sequences of so many rows on average."""
    accumulation = max(1, round(recipe.batch_size / (recipe.micro_batch * rows_each)))
    steps = -(-sequences // (recipe.micro_batch * accumulation))
    return accumulation, min(steps, recipe.max_steps or steps)


def planned_steps(rows: Sequence[TrainingRow], recipe: Recipe) -> int:
    """The steps of a supervised training on these rows, unless it is stopped early."""
    order = training_order(rows, recipe)
    sequences = len(packed(rows, order, recipe.max_tokens)) if recipe.packing else len(order)
    return accumulated(sequences, len(order) / sequences, recipe)[1]
