"""The order of a mixture: each objective has its share of every stretch of the training, deterministically.

The order is computed before the training, from rows, shares and seed alone, so that a resumed training goes on exactly.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from models.objectives import Objective
from training.fit.recipe import Recipe


class Drawn(NamedTuple):
    """Rows of an objective, how often rows of it are drawn in all, and its share of all draws."""

    rows: int
    drawn: int
    share: float


def drawn_rows(rows: Sequence[tuple[Objective | None, float]], recipe: Recipe) -> dict[Objective, Drawn]:
    """How often rows, each an (objective, weight), are drawn in all epochs.

    An epoch is as long as it can be without any objective repeating its rows (by their weights), so the scarcest one by
    its share decides; the others go on in the next epoch where they were.
    """
    sizes = {objective: sum(weight for each, weight in rows if each is objective) for objective, _ in recipe.mixture}
    counts = {objective: sum(each is objective for each, _ in rows) for objective in sizes}
    shares = {objective: share for objective, share in recipe.mixture if sizes[objective] and share}
    total = recipe.epochs * min(sizes[objective] / share for objective, share in shares.items())
    drawn = {objective: max(1, round(share * total)) for objective, share in shares.items()}
    every = sum(drawn.values())
    return {objective: Drawn(counts[objective], count, count / every) for objective, count in drawn.items()}


def mixture_order(rows: Sequence[tuple[Objective | None, float]], recipe: Recipe) -> list[int]:
    """Indices of the rows, each an (objective, weight), in training order.

    The draws of each objective are spread evenly over the training. Its rows come in passes, each shuffled anew and
    used before the next: a row of weight w is in a pass whenever its running total passes an integer.
    """
    generator = random.Random(recipe.seed)
    places: list[tuple[float, int]] = []
    for objective, wanted in drawn_rows(rows, recipe).items():
        own = [(index, weight) for index, (each, weight) in enumerate(rows) if each is objective]
        stream = _passes(own, wanted.drawn, generator)
        offset = generator.random()
        places += [((place + offset) / wanted.drawn, index) for place, index in enumerate(stream)]
    return [index for _, index in sorted(places)]


def _passes(rows: Sequence[tuple[int, float]], count: int, generator: random.Random) -> list[int]:
    starts = [generator.random() for _ in rows]
    stream: list[int] = []
    number = 0
    while len(stream) < count:
        part = [
            index
            for (index, weight), start in zip(rows, starts, strict=True)
            if int(start + (number + 1) * weight) > int(start + number * weight)
        ]
        generator.shuffle(part)
        stream += part
        number += 1
    return stream[:count]
