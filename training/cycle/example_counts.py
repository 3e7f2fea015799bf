"""Counts of training examples by kind: those that curation would read, in runs on record and in collections."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from pathlib import Path

from evals.sets import reserved_repositories
from models.objectives import Objective, objective_of
from models.protocols import Stage
from models.training import Pair, Preference, TrainingTarget
from training.cycle.context import TrainingContext
from training.data.sources import read_pairs
from training.data.sources.collections import CARD, read_collection

TEACHER = "teacher"


class ExampleKind(StrEnum):
    """The kinds of examples with a number of their own, as in the settings."""

    TASK_ANALYSIS = "task_analysis"
    SCOPE = "scope"
    PRECISION = "precision"
    CODE = "code"
    CODE_PREFERENCES = "code_preferences"
    META_PLAN = "meta_plan"
    PART_PLAN = "part_plan"
    TEST_PLAN = "test_plan"
    PLANNING_PREFERENCES = "planning_preferences"
    STYLE = "style"
    POSITION = "position"

    @property
    def reasoned(self) -> bool:
        """Whether an example counts only with a trace of the reasoning that led to it."""
        return self in (ExampleKind.META_PLAN, ExampleKind.PART_PLAN, ExampleKind.TEST_PLAN)


@dataclass
class ExampleCount:
    """Examples of a kind. `reasoned` have a trace of the reasoning, `taught` are the teacher's."""

    sources: Counter[str] = field(default_factory=Counter)
    reasoned: int = 0
    taught: int = 0
    taught_reasoned: int = 0
    repositories: set[str] = field(default_factory=set)
    organisations: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)

    def add(self, example: Pair | Preference) -> None:
        """Count an example."""
        made = example.provenance if isinstance(example, Pair) else example.chosen_by
        traced = isinstance(example, Pair) and bool(example.reasoning)
        self.sources[example.source.value] += 1
        self.reasoned += traced
        self.taught += made.planner == TEACHER
        self.taught_reasoned += made.planner == TEACHER and traced
        self.repositories.add(made.repository)
        self.organisations.add(made.organisation)
        self.domains.add(made.domain)


def count_examples(context: TrainingContext) -> dict[ExampleKind, ExampleCount]:
    """The examples of each kind, without reserved repositories. Raises TrainingError for a changed collection."""
    counts = {kind: ExampleCount() for kind in ExampleKind}
    held = reserved_repositories(context.curated, context.raw_engine)
    for example in chain(_stored(context), _collected(context.settings.data_dir)):
        made = example.provenance if isinstance(example, Pair) else example.chosen_by
        kind = _kind(example)
        if kind is not None and made.repository not in held:
            counts[kind].add(example)
    return counts


def _stored(context: TrainingContext) -> Iterator[Pair | Preference]:
    """The examples of all runs on record."""
    targets = [target for target in TrainingTarget if target.serves]
    for place, target in enumerate(targets):
        context.notify("reading runs", place, len(targets))
        found = read_pairs(context.raw, target, context.settings.curation)
        yield from found.pairs
        yield from found.preferences
    context.notify("reading runs", len(targets), len(targets))


def _collected(data_dir: Path) -> Iterator[Pair | Preference]:
    """The examples of all collections of recipes and public datasets."""
    for card in sorted((data_dir / "collections").glob(f"*/{CARD}")):
        yield from read_collection(card.parent)


def _kind(example: Pair | Preference) -> ExampleKind | None:
    """The kind that an example counts as; None for one that no number is set for, such as an adjustment."""
    objective = objective_of(example.source.value, example.stage)
    if isinstance(example, Preference):
        if objective is Objective.PLANNING:
            return ExampleKind.PLANNING_PREFERENCES
        return ExampleKind.CODE_PREFERENCES if example.stage is Stage.CODE else None
    if objective is Objective.STYLE:
        return ExampleKind.STYLE
    if objective is Objective.POSITION:
        return ExampleKind.POSITION
    return ExampleKind(example.stage.value) if example.stage.value in {kind.value for kind in ExampleKind} else None
