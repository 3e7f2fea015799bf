"""The validation split, and the training order of the other examples."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from models.mix import LearningOrder
from models.protocols import Stage
from models.training import Pair
from training.data.curation.examples import Example
from training.data.sources.reading import classes_of

Split = Literal["train", "validation"]
ENOUGH_REPOSITORIES = 3


def splits(examples: Sequence[Example], share: float) -> dict[str, Split]:
    """The split of each group: of repositories if there are three, else of instances (as `repository instance`).

    Groups are taken for validation in the order of their hashes, except those that would exceed twice the share; at
    least one is taken if there are two.
    """
    repositories = by_repository(examples)
    sizes = Counter(group_of(example, repositories) for example in examples)
    order = sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    held: list[str] = []
    taken = 0
    for name in order:
        if taken < share * len(examples) and taken + sizes[name] <= 2 * share * len(examples):
            held.append(name)
            taken += sizes[name]
    if not held and len(order) > 1:
        held = [min(order, key=lambda name: sizes[name])]
    return {name: "validation" if name in held else "train" for name in order}


def by_repository(examples: Sequence[Example]) -> bool:
    """Whether there are enough repositories to split by them."""
    return len({example.provenance.repository for example in examples}) >= ENOUGH_REPOSITORIES


def group_of(example: Example, repositories: bool) -> str:
    """The group of an example in the split."""
    name = example.provenance.repository
    return name if repositories else f"{name} {example.provenance.instance}"


def in_learning_order(examples: Sequence[Example], order: LearningOrder = "usual") -> list[Example]:
    """Examples in the order of the dataset's file, ties by id, which is effectively shuffled.

    usual: precision from easy to hard, by the symbols to judge; all others by id. easy-to-hard, hard-to-easy: by the
    tokens of prompt and answer. random: by id.
    """

    def place(example: Example) -> tuple[int, str]:
        item = example.item
        judged = len(classes_of(item.stage, item.answer)) if isinstance(item, Pair) and _graded(item) else 0
        size = {"usual": judged, "random": 0, "easy-to-hard": example.tokens, "hard-to-easy": -example.tokens}[order]
        return (size, example.id)

    return sorted(examples, key=place)


def _graded(pair: Pair) -> bool:
    return pair.stage is Stage.PRECISION
