"""Contexts of pieces in which some are placed at a chosen depth."""

import random
from collections.abc import Callable, Iterable, Sequence


def fill(pool: Iterable[str], budget: int, count: Callable[[str], int], fits: Callable[[str], bool]) -> list[str]:
    """Pieces of a pool, in its order, that fit and together take no more than `budget` tokens by `count`.

    The first piece that would exceed the budget ends it.
    """
    found: list[str] = []
    for piece in pool:
        if not fits(piece):
            continue
        budget -= count(piece)
        if budget < 0:
            break
        found.append(piece)
    return found


def uniform_places(generator: random.Random, targets: int, others: int) -> list[int]:
    """Distinct places of `targets` pieces among all, each set of places as likely as any other, in random order."""
    return generator.sample(range(targets + others), targets)


def place_at(depth: float, others: int) -> int:
    """The place among all pieces of a single one at a depth from 0 (first) to 1 (last)."""
    return round(depth * others)


def arranged(targets: Sequence[str], places: Sequence[int], others: Sequence[str]) -> list[str]:
    """All pieces, each target at its place and the others in their order between them."""
    at = dict(zip(places, targets, strict=True))
    rest = iter(others)
    return [at[place] if place in at else next(rest) for place in range(len(targets) + len(others))]
