"""The part of the split by repository to which a repository belongs, by its name and by its first commits."""

import tomllib
from collections.abc import Collection

from evals.study.plan import HELD_OUT_ROOTS, default_split
from models.comparisons import Part


def part_of(names: Collection[str], roots: Collection[str]) -> Part:
    """The part of a repository under its names and its first commits: a copy of one that is held out is held out under
    any name. What the split does not name is of the training part."""
    split = default_split()
    held = tomllib.loads(HELD_OUT_ROOTS.read_text(encoding="utf-8"))["roots"]
    commits = {commit for each in held.values() for commit in each}
    if not set(names).isdisjoint(split.held_out) or not commits.isdisjoint(roots):
        return Part.HELD_OUT
    return Part.VALIDATION if not set(names).isdisjoint(split.validation) else Part.TRAINING
